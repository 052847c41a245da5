"""Whether a plugin acts at all in a run."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plastic.cli.acting import never_acts
from plastic.core.plugin import Plugin
from plastic.core.runs.replay_ratio import Owed
from plastic.core.schedule import Always, At, Clock, Counts, Every, Never, Schedule, Unit
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.hare_tortoise import HareTortoise
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.probes.weight_norm import WeightNorm

SKIP = 4


def run_of(steps: int, first: int, ratio: float) -> Owed:
    owed = Owed(Clock(total=Counts(agent_steps=steps, frames=SKIP * steps)), first, ratio)
    owed.reckon()
    return owed


def acted(plugin: Plugin, owed: Owed) -> bool:
    """As `Run` and `Learner` go about it."""
    clock, due = owed.clock, False
    for step in range(1, clock.total.agent_steps + 1):
        clock.advance(agent_steps=1, frames=SKIP)
        for _ in range(owed.after_step(owed.ratio) if step >= owed.first else 0):
            clock.advance(updates=1)
            if not (isinstance(plugin, Reset) and clock.last_update):
                due = due or bool(plugin.due(clock))
            clock.tick()
    return due


whole = st.integers(-60, 60)
units = st.sampled_from(["updates", "agent_steps", "frames"])
schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(At, st.integers(1, 100), units),
    st.builds(Every, st.integers(1, 100), units, whole, st.none() | whole),
)


@given(
    when=schedules,
    kind=st.sampled_from([Reset, SAM, WeightNorm]),
    steps=st.integers(1, 30),
    first=st.integers(0, 35),
    ratio=st.sampled_from([0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0]),
)
def test_what_is_said_is_what_comes(when: Schedule, kind: Any, steps: int, first: int, ratio: float) -> None:
    plugin = kind(when=when)
    assert never_acts(plugin, run_of(steps, first, ratio)) == (not acted(plugin, run_of(steps, first, ratio)))


@pytest.mark.parametrize(
    ("when", "ratio", "never"),
    [
        (Every(100), 1, True),  # at the last update alone
        (Every(100, of="agent_steps"), 1, True),
        (Every(100, of="agent_steps"), 2, False),  # at the last but one
        (Every(99), 1, False),
        (At(99_999_999), 1, True),
        (Every(10, start=50, stop=50), 1, True),
        (At(1_000, of="episodes"), 1, False),
        (Always(), 1, False),
        (Never(), 1, False),  # which says so itself
    ],
)
def test_a_reset_in_a_hundred_steps(when: Schedule, ratio: float, never: bool) -> None:
    assert never_acts(Reset(when=when), run_of(100, 1, ratio)) is never


@pytest.mark.parametrize(("of", "never"), [("updates", False), ("agent_steps", True), ("frames", False)])
def test_nobody_knows_how_many_updates_there_are_where_the_ratio_is_turned(of: Unit, never: bool) -> None:
    assert never_acts(Reset(when=At(200, of=of)), run_of(100, 1, 1.0), {"replay_ratio"}) is never


def test_a_plugin_without_moments_acts_and_so_does_one_with_moments_of_its_own() -> None:
    assert not never_acts(SAM(), run_of(0, 1, 1.0))
    assert not never_acts(HareTortoise(when=At(101)), run_of(100, 1, 1.0)), "it follows at all updates"
