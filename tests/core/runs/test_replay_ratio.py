"""Updates owed to the replay ratio: their number is known beforehand, also after it was tuned."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plastic.core.runs.replay_ratio import Owed
from plastic.core.schedule import Clock, Counts

RATIOS = [0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.5, 2.0, 2.3, 4.0]


def begun(steps: int, first: int, ratio: float) -> Owed:
    owed = Owed(Clock(total=Counts(agent_steps=steps)), first, ratio)
    owed.reckon()
    return owed


def step(owed: Owed, ratio: float) -> int:
    """An agent step with its updates, as a run does it."""
    owed.clock.advance(agent_steps=1)
    updates = owed.after_step(ratio) if owed.clock.now.agent_steps >= owed.first else 0
    owed.clock.advance(updates=updates)
    return updates


@given(ratio=st.sampled_from(RATIOS), steps=st.integers(1, 3_000), first=st.integers(0, 500))
def test_the_total_of_updates_is_what_a_run_will_do(ratio: float, steps: int, first: int) -> None:
    owed = begun(steps, first, ratio)
    told = owed.clock.total.updates
    for _ in range(steps):
        step(owed, ratio)
    assert owed.clock.now.updates == owed.clock.total.updates == told


@pytest.mark.parametrize("ratio", [1, 2, 3, 5, 10])
def test_so_many_tenths_of_an_update_are_one(ratio: int) -> None:
    owed = begun(1_000, 1, ratio / 10)
    done = [step(owed, ratio / 10) for _ in range(1_000)]
    exact = [int(Fraction(ratio * (number + 1), 10)) - int(Fraction(ratio * number, 10)) for number in range(1_000)]
    assert done == exact


@given(
    first=st.integers(0, 120),
    ratios=st.lists(st.sampled_from(RATIOS), min_size=2, max_size=4),
    period=st.integers(1, 60),
    saved=st.integers(0, 100),
)
def test_at_any_checkpoint_the_total_is_what_follows(first: int, ratios: list[float], period: int, saved: int) -> None:
    owed, ratio = begun(100, first, ratios[0]), ratios[0]
    for number in range(1, saved + 1):
        step(owed, ratio)
        if number % period == 0 and owed.clock.now.updates:  # tuned after its updates: from the next step on
            ratio = ratios[number // period % len(ratios)]
    again = begun(100, first, ratios[0])
    again.clock.now = owed.clock.now
    again.take_up(owed.credit, ratio)
    told = again.clock.total.updates
    for _ in range(saved, 100):
        assert step(owed, ratio) == step(again, ratio)
        assert owed.clock.total.updates == told or owed.clock.now.agent_steps < first
    assert owed.clock.now.updates == again.clock.now.updates == again.clock.total.updates == told


def test_a_run_made_longer_has_as_many_more() -> None:
    owed = begun(10, 3, 0.5)
    for _ in range(10):
        step(owed, 0.5)
    again = begun(20, 3, 0.5)
    again.clock.now = owed.clock.now
    again.take_up(owed.credit, 0.5)
    assert (owed.clock.total.updates, again.clock.total.updates) == (4, 9)
