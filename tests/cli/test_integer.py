"""Whole numbers as they are typed; what each command says is in test_bad_input.py."""

import pytest
from cyclopts import App

from plastic.cli.integer import Integer
from plastic.core.errors import UsageError


def typed(*words: str) -> int | None:
    app = App(result_action="return_value")

    @app.default
    def given(*, steps: Integer = None) -> int | None:
        return steps

    found: int | None = app(words)
    return found


def test_it_is_the_number_or_none() -> None:
    assert typed("--steps", "600") == 600
    assert typed("--steps=100_000") == 100_000
    assert typed() is None


@pytest.mark.parametrize("text", ["600.9", "600.0", "many", "1e3", ""])
def test_what_is_not_whole_is_refused_and_not_rounded(text: str) -> None:
    with pytest.raises(UsageError, match=f"^steps must be an integer, not {text!r}$"):
        typed("--steps", text)
