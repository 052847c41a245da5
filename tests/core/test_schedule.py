"""Clocks and schedules: what fires at the start, in the middle, at the end, in whatever unit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plastic.core.schedule import Always, At, Clock, Counts, Every, Never, Schedule, Unit


def due(schedule: Schedule, ticks: list[Counts], total: Counts = Counts()) -> list[int]:  # noqa: B008
    """At which of the ticks, counted from 1, the schedule is due."""
    clock, fired = Clock(total=total), []
    for number, now in enumerate(ticks, 1):
        clock.now = now
        if schedule(clock):
            fired.append(number)
        clock.tick()
    return fired


def updates(last: int) -> list[Counts]:
    return [Counts(updates=update) for update in range(1, last + 1)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Every(3), [3, 6, 9]),
        (Every(1), list(range(1, 11))),
        (Every(10), [10]),
        (Every(11), []),
        (Every(3, start=2), [5, 8]),
        (Every(3, stop=6), [3, 6]),
        (Every(3, stop=5), [3]),
        (Every(2, start=3, stop=7), [5, 7]),
        (Every(1, start=-3), [8, 9, 10]),
        (Every(2, start=-4), [8, 10]),
        (Every(3, stop=-2), [3, 6]),
        (Every(1, start=-4, stop=-2), [7, 8]),
        (Every(4, start=-100), [4, 8]),  # further from the end than the run is long: from its start
        (Every(4, stop=-100), []),
        (Every(2, start=8, stop=4), []),
        (At(1), [1]),
        (At(10), [10]),
        (At(11), []),
        (Always(), list(range(1, 11))),
        (Never(), []),
    ],
    ids=str,
)
def test_in_updates(schedule: Schedule, expected: list[int]) -> None:
    assert due(schedule, updates(10), Counts(updates=10)) == expected


def test_two_updates_in_an_agent_step_fire_a_schedule_in_agent_steps_once() -> None:
    ticks = [Counts(updates=update, agent_steps=(update + 1) // 2) for update in range(1, 13)]
    assert due(Every(2, of="agent_steps"), ticks) == [3, 7, 11]  # the first update of steps 2, 4 and 6
    assert due(At(3, of="agent_steps"), ticks) == [5]


def test_one_update_in_two_agent_steps_misses_no_crossing() -> None:
    ticks = [Counts(updates=update, agent_steps=2 * update) for update in range(1, 7)]
    assert due(Every(3, of="agent_steps"), ticks) == [2, 3, 5, 6]  # steps 4, 6, 10 and 12 passed 3, 6, 9 and 12
    assert due(Every(1, of="agent_steps"), ticks) == [1, 2, 3, 4, 5, 6]
    assert due(At(3, of="agent_steps"), ticks) == [2]


def test_what_was_passed_before_the_first_update_fires_there_once() -> None:
    ticks = [Counts(updates=update, agent_steps=1000 + update) for update in range(1, 5)]
    assert due(At(200, of="agent_steps"), ticks) == [1]
    assert due(Every(300, of="agent_steps"), ticks) == [1]


@pytest.mark.parametrize("unit", ["updates", "agent_steps", "frames", "episodes"])
def test_every_unit_is_counted(unit: Unit) -> None:
    ticks = [Counts(**{unit: count}) for count in range(1, 7)]
    assert due(Every(3, of=unit), ticks) == [3, 6]
    assert due(At(4, of=unit), ticks) == [4]


def test_the_end_is_that_of_the_unit_asked_for() -> None:
    ticks = [Counts(updates=update, frames=4 * update) for update in range(1, 11)]
    total = Counts(updates=10, frames=40)
    assert due(Every(4, of="frames", start=-12), ticks, total) == [8, 9, 10]
    assert due(Every(4, of="frames", stop=-32), ticks, total) == [1, 2]


@given(
    period=st.integers(1, 7),
    start=st.integers(0, 20),
    length=st.integers(0, 30),
    strides=st.lists(st.integers(0, 5), min_size=1, max_size=30),
)
def test_every_fires_where_a_multiple_was_passed(period: int, start: int, length: int, strides: list[int]) -> None:
    counts = [sum(strides[: place + 1]) for place in range(len(strides))]
    moments = set(range(start + period, start + length + 1, period))
    expected = [
        tick
        for tick, (before, now) in enumerate(zip([0, *counts], counts, strict=False), 1)
        if moments & set(range(before + 1, now + 1))
    ]
    ticks = [Counts(agent_steps=count) for count in counts]
    assert due(Every(period, of="agent_steps", start=start, stop=start + length), ticks) == expected


def test_the_clock_counts_each_unit() -> None:
    clock = Clock()
    clock.advance(updates=2, agent_steps=1, frames=4)
    clock.advance(updates=1, episodes=1)
    assert clock.now == Counts(updates=3, agent_steps=1, frames=4, episodes=1)
    assert clock.before == Counts()
    clock.tick()
    assert clock.before == clock.now


def test_the_last_update_is_known_where_the_total_is() -> None:
    clock = Clock(total=Counts(updates=2))
    seen = []
    for _ in range(3):
        clock.advance(updates=1)
        seen.append(clock.last_update)
    assert seen == [False, True, True]
    endless = Clock()
    endless.advance(updates=5)
    assert not endless.last_update


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Every, {"period": 0}, "a period is at least 1, not 0"),
        (Every, {"period": -5}, "a period is at least 1, not -5"),
        (Every, {"period": True}, "period must be an integer, not True"),
        (Every, {"period": 1.0}, "period must be an integer, not 1.0"),
        (Every, {"period": "3"}, "period must be an integer, not '3'"),
        (Every, {"period": 3, "of": "steps"}, "a unit is one of updates, agent_steps, frames, episodes, not 'steps'"),
        (Every, {"period": 3, "start": 0.5}, "start must be an integer, not 0.5"),
        (Every, {"period": 3, "stop": "end"}, "stop must be an integer, not 'end'"),
        (Every, {"period": 3, "of": "episodes", "start": -10}, "start cannot count episodes from the end"),
        (Every, {"period": 3, "of": "episodes", "stop": -10}, "stop cannot count episodes from the end"),
        (At, {"count": 0}, "a count is at least 1, not 0"),
        (At, {"count": False}, "count must be an integer, not False"),
        (At, {"count": 3, "of": "hours"}, "a unit is one of updates, agent_steps, frames, episodes, not 'hours'"),
        (Counts, {"updates": -1}, "'updates' must be >= 0"),
        (Counts, {"frames": 2.5}, "frames must be an integer, not 2.5"),
    ],
)
def test_what_cannot_be_is_refused(kind: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**arguments)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Every(40_000), "every 40,000 updates"),
        (Every(1), "every update"),
        (Every(1, of="agent_steps", start=-100), "every agent step in the last 100"),
        (Every(100, of="agent_steps", start=2_000), "every 100 agent steps after 2,000"),
        (Every(100, start=-40_000), "every 100 updates in the last 40,000"),
        (Every(100, stop=500), "every 100 updates, to 500"),
        (Every(100, stop=-500), "every 100 updates, to 500 before the end"),
        (At(50_000, of="frames"), "once at 50,000 frames"),
        (Always(), "always"),
        (Never(), "never"),
    ],
)
def test_a_schedule_says_when_in_words(schedule: Schedule, words: str) -> None:
    assert str(schedule) == words


@pytest.mark.parametrize(
    "schedule",
    [
        Every(7),
        Every(7, start=30),
        Every(7, start=-30, stop=-3),
        Every(3, stop=50),
        Every(7, start=90, stop=40),
        Every(5, of="agent_steps"),
        Every(9, of="frames", start=40),
        Every(1, of="frames"),
        Every(1_000),
        At(100),
        At(101),
        At(399, of="frames"),
        Always(),
        Never(),
    ],
)
def test_how_often_a_schedule_is_due_is_what_asking_at_every_update_gives(schedule: Schedule) -> None:
    total = Counts(updates=100, agent_steps=100, frames=400)
    assert schedule.times(total) == Schedule.times(schedule, total)


def test_nobody_knows_how_many_episodes_there_will_be() -> None:
    total = Counts(updates=100, agent_steps=100, frames=400)
    assert Every(2, of="episodes").times(total) is None
    assert At(2, of="episodes").times(total) is None
