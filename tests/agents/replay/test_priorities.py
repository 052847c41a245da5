"""Draws by priority, against shares worked by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plastic.agents.replay.priorities import EPSILON, UNIT, Priorities, pick
from plastic.core.errors import UsageError

EXAMPLES = settings(max_examples=80, deadline=None, derandomize=True, database=None)
ROWS = [1, 2, 5, 6, 7, 11, 12, 19, 20, 23]  # of 24 that can be drawn


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def admitted(*rows: int, capacity: int = 24, exponent: float = 0.5) -> Priorities:
    made = Priorities(capacity, exponent, torch.device("cpu"))
    for row in rows:
        made.admit(row)
    return made


def values(priorities: Priorities) -> Tensor:
    return priorities.units.tensor.double() / UNIT


@pytest.mark.parametrize(
    ("fraction", "row"), [(0.0, 1), (0.25, 1), (0.5, 1), (0.5000001, 3), (0.75, 3), (0.7500001, 4), (1.0, 4)]
)
def test_a_draw_on_a_boundary_goes_left_and_never_to_an_empty_row(fraction: float, row: int) -> None:
    shares = torch.tensor([0, 2, 0, 1, 1, 0]) * 2**40
    assert pick(shares.cumsum(0), torch.tensor([fraction], dtype=torch.float64)).item() == row


@EXAMPLES
@given(
    st.lists(st.sampled_from([0, 0, 1, 2, 43, 2**20, 2**60]), min_size=1, max_size=7).filter(any),
    st.lists(st.floats(0, 1), min_size=1),
)
def test_a_draw_is_the_row_whose_share_it_falls_in(shares: list[int], fractions: list[float]) -> None:
    rows = pick(torch.tensor(shares).cumsum(0), torch.tensor(fractions, dtype=torch.float64))
    for fraction, row in zip(fractions, rows.tolist(), strict=True):
        below, total = sum(shares[:row]), sum(shares)
        assert shares[row] > 0
        assert below / total <= fraction * (1 + 1e-15) or below == 0
        assert fraction <= (below + shares[row]) / total * (1 + 1e-15)


def test_priorities_are_powers_of_the_loss() -> None:
    priorities, index = admitted(*ROWS), torch.tensor(ROWS[:4])
    losses = torch.tensor([4.0, 0.01, 123.456, 0.0])
    priorities.set(index, losses)
    wanted = (losses.double() + EPSILON) ** 0.5
    torch.testing.assert_close(values(priorities)[index], wanted, rtol=1e-7, atol=1.2e-10)
    priorities.set(index, torch.zeros(4))
    assert (values(priorities)[index] > 0).all()  # a loss of 0 stays drawable


def test_new_rows_get_the_largest_priority_so_far_which_never_falls() -> None:
    priorities = admitted(0, 1)
    assert values(priorities)[:3].tolist() == [1, 1, 0]
    priorities.set(torch.tensor([0, 1]), torch.tensor([0.25, 0.04]))
    priorities.admit(2)
    assert values(priorities)[2].item() == 1
    priorities.set(torch.tensor([1]), torch.tensor([9.0]))
    priorities.set(torch.tensor([1]), torch.tensor([0.25]))
    priorities.admit(3)
    assert values(priorities)[:4].tolist() == pytest.approx([0.5, 0.5, 1, 3])


def test_of_duplicates_in_one_write_the_last_counts() -> None:
    priorities, (a, b) = admitted(*ROWS), ROWS[:2]
    index = torch.tensor([a, b] * 300 + [b, a, a])
    losses = torch.rand(len(index), generator=stream())
    priorities.set(index, losses)
    wanted = losses[[-1, -3]].double().add(EPSILON).sqrt()
    torch.testing.assert_close(values(priorities)[[a, b]], wanted, rtol=1e-7, atol=0)


def test_a_row_that_was_withdrawn_stays_so_whatever_is_written() -> None:
    priorities = admitted(*ROWS)
    priorities.withdraw(ROWS[2])
    priorities.set(torch.tensor(ROWS), torch.ones(len(ROWS)))
    assert values(priorities).nonzero().flatten().tolist() == ROWS[:2] + ROWS[3:]


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e30])
def test_a_monstrous_loss_spoils_no_row_number(loss: float) -> None:
    priorities = admitted(*ROWS)
    priorities.set(torch.tensor(ROWS), torch.full((len(ROWS),), loss))
    assert (values(priorities) >= 0).all()
    if loss > 0:
        assert values(priorities)[ROWS[-1]] == pytest.approx(2.0**30 / 24)  # the largest that adds up
    assert set(priorities.draw(1000, stream()).tolist()) <= set(ROWS)


def test_rows_are_drawn_as_often_as_their_priority_says() -> None:
    rows = [row for row in range(60) if row % 4]
    priorities = admitted(*rows, capacity=60)
    losses = torch.rand(len(rows), generator=stream(1)) ** 4
    losses[3] = 0.0
    priorities.set(torch.tensor(rows), losses)
    share = values(priorities) / values(priorities).sum()
    generator, counts = stream(2), torch.zeros(60, dtype=torch.long)
    for _ in range(2000):
        counts += priorities.draw(16, generator).bincount(minlength=60)
    expected = share * 32_000
    # Strata make the counts of frequent rows more even than independent draws would be.
    assert ((counts - expected).abs() <= 5 * (expected + 1).sqrt()).all()
    assert counts[share == 0].sum() == 0


def test_draws_are_stratified() -> None:
    assert admitted(*ROWS).draw(len(ROWS), stream()).tolist() == ROWS


def test_weights_worked_by_hand() -> None:
    priorities = admitted(3, 4)
    priorities.set(torch.tensor([3, 4]), torch.tensor([1.0, 9.0]))  # shares of 1/4 and 3/4
    index = priorities.draw(4, stream())
    assert index.tolist() == [3, 4, 4, 4]
    one, three = ((1 / (share * 2) + 1e-5) ** 0.5 for share in (0.25, 0.75))
    weights = priorities.weights(index, torch.tensor(2), 0.5)
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([1.0] + [three / one] * 3)


def test_exponent_0_keeps_every_priority_1_and_nothing_to_draw_by() -> None:
    priorities = admitted(*ROWS, exponent=0)
    priorities.set(torch.tensor(ROWS), torch.arange(1.0, len(ROWS) + 1))
    assert values(priorities)[ROWS].tolist() == [1] * len(ROWS)
    assert admitted(exponent=0.5).nbytes - priorities.nbytes == 24 * (8 + 8)


def test_a_negative_exponent_is_refused() -> None:
    with pytest.raises(UsageError, match="must not be negative, but is -1"):
        admitted(exponent=-1)
