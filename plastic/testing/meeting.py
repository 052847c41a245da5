"""What comes of several plugins together: they work, or are refused in one sentence. There is no third state."""

from collections.abc import Callable, Sequence
from typing import Any

from plastic.core.errors import UsageError
from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Registry
from plastic.testing.certificate import Outcome
from plastic.testing.compare import differences
from plastic.testing.examination import CHECKPOINT
from plastic.testing.invariants import faults
from plastic.testing.laws.resumes import gone_on
from plastic.testing.state import story
from plastic.testing.trial import WARM, Trial

SHORT = WARM + 4  # agent steps: five updates, edits after four of them
Story = dict[str, Any] | UsageError | None  # of a run, why there is none, or None where nobody asks


def meet(
    kind: str,
    chosen: Sequence[Chosen],
    known: Registry,
    *,
    alone: Callable[[Chosen], Story] = lambda one: None,
) -> tuple[Outcome, str]:
    """Run them together, look at every invariant after every update with its edits, and interrupt them in the middle.

    Args:
        kind: Of trial.
        chosen: The plugins in order.
        known: Where they are registered.
        alone: What comes of all but one; where it is the same as with that one, that one is inert.
    """
    try:
        trial = Trial(kind, chosen, steps=SHORT, registry=known)
    except UsageError as error:
        return "refused", str(error)
    except Exception as error:  # whatever a plugin raises is what a check is for
        return "broken", f"{type(error).__name__}: {' '.join(str(error).split())}"
    try:
        trial.warm_up()
        why = _unsound(trial)
        while why is None and trial.clock.now.agent_steps < CHECKPOINT:
            why = _step(trial)
        why = why or gone_on(trial, kind, chosen, known) or _unsound(trial)
    except UsageError as error:
        return "broken", f"refused in the middle of the run: {error}"
    except Exception as error:
        return "broken", f"{type(error).__name__}: {' '.join(str(error).split())}"
    if why is None:
        why = _inert(story(trial), chosen, alone)
    return ("works", "") if why is None else ("broken", why)


def _step(trial: Trial) -> str | None:
    trial.act()
    for _ in range(trial.owed()):
        trial.update()
        trial.tend()
        if why := _unsound(trial):
            return why
    return None


def _unsound(trial: Trial) -> str | None:
    for name, learner in trial.learners.items():
        for fault in faults(learner):
            return f"after update {trial.clock.now.updates} {fault} ({name})"
    return None


def _inert(together: dict[str, Any], chosen: Sequence[Chosen], alone: Callable[[Chosen], Story]) -> str | None:
    for one in chosen:
        without = alone(one)
        if isinstance(without, dict) and not differences(together, without):
            return f"{one.name} changes nothing there, and nobody says so"
    return None
