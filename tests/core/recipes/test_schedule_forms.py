"""Schedules as a recipe writes them: which forms are understood, and that each gives itself back."""

import re
from typing import Any

import pytest

from plastic.core.errors import UsageError
from plastic.core.recipes.schedule_forms import form, schedule
from plastic.core.schedule import Always, At, Every, Never, Schedule
from tests.core.stubs import Whenever


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("always", Always()),
        ("never", Never()),
        ({"every": 5}, Every(5)),
        ({"every": 5, "of": "frames", "start": 2, "stop": -1}, Every(5, "frames", 2, -1)),
        ({"at": 5}, At(5)),
        ({"at": 5, "of": "episodes"}, At(5, "episodes")),
        (Every(6), Every(6)),
    ],
)
@pytest.mark.parametrize("once", [False, True])
def test_what_is_understood(written: Any, expected: Schedule, once: bool) -> None:
    assert schedule(written, once=once) == expected


def test_a_bare_count_means_what_the_option_means_by_default() -> None:
    assert schedule(5, once=False) == Every(5)
    assert schedule(5, once=True) == At(5)


_NONE = 'must be a number of updates, {every = N, of = "updates"}, {at = N}, always or never, not '


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (True, f"{_NONE}True"),
        (1.5, f"{_NONE}1.5"),
        ("sometimes", f"{_NONE}'sometimes'"),
        ({}, f"{_NONE}{{}}"),
        ({"of": "frames"}, f"{_NONE}{{'of': 'frames'}}"),
        ({"every": 5, "off": "frames"}, "has no 'off'; did you mean 'of'?"),
        ({"every": 5, "period": 6}, "has no 'period'; known: of, start, stop"),
        ({"at": 5, "start": 2}, "has no 'start'; known: of"),
        ({"every": 5, "at": 6}, "has no 'at'; known: of, start, stop"),
        ({"every": 5, "of": "steps"}, "a unit is one of updates, agent_steps, frames, episodes, not 'steps'"),
        (0, "a period is at least 1, not 0"),
    ],
)
def test_what_is_refused(written: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        schedule(written, once=False)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (Every(5), {"every": 5, "of": "updates"}),
        (Every(5, "frames", 2, -1), {"every": 5, "of": "frames", "start": 2, "stop": -1}),
        (At(5, "episodes"), {"at": 5, "of": "episodes"}),
        (Always(), "always"),
        (Never(), "never"),
    ],
)
def test_a_schedule_is_what_its_form_says(given: Schedule, written: Any) -> None:
    assert form(given) == written
    assert schedule(form(given), once=False) == given


def test_a_schedule_of_ones_own_has_no_form() -> None:
    with pytest.raises(UsageError, match=r"^a recipe has no words for the schedule Whenever\(\)"):
        form(Whenever())
