"""Taking up what a checkpoint holds, or one sentence why it does not fit."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from plastic.core.agent import Agent
from plastic.core.errors import UsageError
from plastic.core.recipes import recipe
from plastic.core.recipes.differing import difference
from plastic.core.recipes.recipe import Recipe

# of what `load_state_dict` of torch says
_SIZES = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\(\[([\d, ]*)\]\) from checkpoint, "
    r"the shape in current model is torch\.Size\(\[([\d, ]*)\]\)"
)
_MISSING = re.compile(r'Missing key\(s\) in state_dict: "([^"]*)"')
_UNEXPECTED = re.compile(r'Unexpected key\(s\) in state_dict: "([^"]*)"')


def refuse_edited(now: Recipe, path: Path, state: Mapping[str, Any]) -> None:
    """Refuse to go on by another recipe than a checkpoint was written by, but for its number of steps.

    Half of it would be obeyed: what the checkpoint holds would win over the file.

    Args:
        now: The recipe in the run's folder, resolved.
        path: Where it lies.
        state: The checkpoint's; one of before recipes were kept in it is taken as it is.

    Raises:
        UsageError: With the first value that differs, and what to do.
    """
    if "recipe" not in state:
        return
    found = difference(now, recipe.from_toml(state["recipe"], "the checkpoint's recipe"))
    if found is not None:
        raise UsageError(
            f"the checkpoint does not fit {path}: {found.name} is {found.now} there and was {found.then} so far; "
            f"put {found.line} back to go on, or begin a new run with: plastic run --config {quote(str(path))}"
        )


def load_learners(agent: Agent, state: Mapping[str, Any]) -> None:
    """Give an agent's learners what a run's state holds of them.

    Raises:
        UsageError: If the state is of another agent, environment or list of plugins.
    """
    if state["learners"].keys() != agent.learners.keys():
        raise UsageError(f"the checkpoint is of an agent that learns {', '.join(state['learners'])}")
    with fitting():
        for name, learner in agent.learners.items():
            learner.load_state_dict(state["learners"][name])


@contextmanager
def fitting() -> Iterator[None]:
    """Inside, what torch says of a state that does not fit becomes one sentence.

    Raises:
        UsageError: That sentence.
    """
    try:
        yield
    except (RuntimeError, ValueError, KeyError) as error:  # of other shapes or names
        raise UsageError(
            f"the checkpoint does not fit recipe.toml beside it: {_reason(error)}; restore that"
        ) from error


def _reason(error: Exception) -> str:
    """The first thing that does not fit, in words."""
    said = " ".join(str(error).split())
    if isinstance(error, KeyError):
        return f"it lacks {said}"
    if found := _SIZES.search(said):
        return f"{found[1]} is {_size(found[2])} in it and {_size(found[3])} by the recipe"
    if found := _MISSING.search(said):
        return f"it lacks {found[1]}"
    if found := _UNEXPECTED.search(said):
        return f"it has {found[1]}, which the recipe does not make"
    return textwrap.shorten(said, 200, placeholder=" ...")


def _size(numbers: str) -> str:
    return " x ".join(numbers.split(", ")) or "a single number"
