"""Taking up what a checkpoint holds, or one sentence why it does not fit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from plastic.core.agent import Agent
from plastic.core.errors import UsageError


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
