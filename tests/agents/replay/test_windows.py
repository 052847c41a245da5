"""n-step returns, worked by hand."""

import pytest
import torch

from plastic.agents.replay.windows import Windows

ALL = [6, 7, 0, 1, 2, 3]


def windows(n_step: int, discount: float = 0.5) -> Windows:
    """A ring of eight: four steps that end in a terminal, from row 6 on, and two that were cut short, at row 4."""
    made = Windows(8, n_step, discount, torch.device("cpu"))
    for step, row in enumerate(ALL):
        made.write(row, 2.0**step, terminated=row == 1)
    made.clear(4)
    return made


@pytest.mark.parametrize(
    ("n_step", "returns", "discounts", "last"),
    [
        (1, [1, 2, 4, 8, 16, 32], [0.5, 0.5, 0.5, 0, 0.5, 0.5], [7, 0, 1, 1, 3, 4]),
        (2, [1 + 1, 2 + 2, 4 + 4, 8, 16 + 16, 32], [0.25, 0.25, 0, 0, 0.25, 0.5], [0, 1, 1, 1, 4, 4]),
        (3, [1 + 1 + 1, 2 + 2 + 2, 4 + 4, 8, 16 + 16, 32], [0.125, 0, 0, 0, 0.25, 0.5], [1, 1, 1, 1, 4, 4]),
    ],
)
def test_windows_worked_by_hand(n_step: int, returns: list[int], discounts: list[float], last: list[int]) -> None:
    got = windows(n_step).at(torch.tensor(ALL))
    assert [each.tolist() for each in got] == [returns, discounts, last]
    assert [each.dtype for each in got] == [torch.float32, torch.float32, torch.int64]


def test_what_is_cleared_holds_nothing_of_a_step_before() -> None:
    made = windows(3)
    made.clear(1)  # as where a terminal was once
    returns, discounts, last = (each.tolist() for each in made.at(torch.tensor([7])))
    assert (returns, discounts, last) == ([2 + 2], [0.25], [1])


def test_windows_of_another_kind() -> None:
    made = windows(1)
    made.set(3, 0.5)
    assert (made.n_step, made.discount) == (3, 0.5)
    assert made.at(torch.tensor([6]))[0].item() == 3
    place = made._powers.data_ptr()
    made.set(3, 1.0)
    assert made.at(torch.tensor([6]))[0].item() == 1 + 2 + 4
    assert made._powers.data_ptr() == place  # a captured graph reads it there


def test_what_a_row_takes() -> None:
    sizes = [Windows(capacity, 3, 0.5, torch.device("cpu")).nbytes for capacity in (100, 200)]
    assert sizes[1] - sizes[0] == 100 * (4 + 1 + 1)
