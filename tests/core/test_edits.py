"""Edits: what can be asked for at all."""

from typing import Any

import pytest
import torch

from plastic.core.edits import Overwrite, Tune


def test_an_overwrite_clears_and_reaches_every_copy_unless_told_otherwise() -> None:
    edit = Overwrite("head.0.bias", torch.zeros(2))
    assert (edit.where, edit.copies, edit.moments, edit.step) == (None, "all", "clear", None)


@pytest.mark.parametrize("option", [{"moments": "drop"}, {"moments": True}, {"step": "0"}])
def test_a_word_that_is_none_of_the_two_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be in \('clear', 'keep'\)"):
        Overwrite("head.0.bias", torch.zeros(2), **option)


def test_edits_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Tune("discount", 0.9).value = 0.5  # type: ignore[misc]
