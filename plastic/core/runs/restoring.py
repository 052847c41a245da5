"""Taking up what a checkpoint holds, or one sentence why it does not fit."""

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
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the checkpoint does not fit recipe.toml beside it ({reason}); restore that") from error
