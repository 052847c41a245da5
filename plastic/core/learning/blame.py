"""Which plugin an error came from."""

from collections.abc import Callable, Sequence
from functools import wraps
from traceback import walk_tb
from types import FrameType
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from plastic.core.errors import PlasticError
from plastic.core.learning.overwriting import Overwriting
from plastic.core.learning.update import Evaluation
from plastic.core.plugin import Plugin, named

if TYPE_CHECKING:
    from plastic.core.learning.learner import Learner

P = ParamSpec("P")
R = TypeVar("R")


def blaming(when: str) -> Callable[[Callable[Concatenate["Learner", P], R]], Callable[Concatenate["Learner", P], R]]:
    """Have a method of the learner note on an error whose it is: `boom (from mine), in edits after update 20`.

    The error stays what it is; one that is meant for the user says such things itself. Whose it is is read off the
    traceback, so that nothing stands between the learner and its plugins which a compiler would have to follow.

    Args:
        when: How the method stands to the updates: `at` one, or `after` it.
    """

    def decorated(method: Callable[Concatenate["Learner", P], R]) -> Callable[Concatenate["Learner", P], R]:
        @wraps(method)
        def noting(learner: "Learner", /, *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(learner, *args, **kwargs)
            except PlasticError:
                raise
            except Exception as error:
                found = _culprit(error, learner.plugins)
                if found is not None:
                    plugin, seam = found
                    moment = f"{when} update {learner.updates:,}" if learner.updates else "before the first update"
                    error.add_note(f"{named(plugin)}, in {seam} {moment}")
                raise

        return noting

    return decorated


def _culprit(error: Exception, plugins: Sequence[Plugin]) -> tuple[Plugin, str] | None:
    """The plugin at work when the error was raised, and its method that was called."""
    found: tuple[Plugin, str] | None = None
    for frame, _ in walk_tb(error.__traceback__):
        owner = _owner(frame)
        if isinstance(owner, Evaluation):
            found = None  # the loss that a modifier asked for is none of its own
        elif isinstance(owner, Overwriting):
            found = owner.by, "edits"  # the value of an Overwrite may be a function
        elif (found is None or owner is not found[0]) and any(owner is plugin for plugin in plugins):
            assert isinstance(owner, Plugin)
            found = owner, frame.f_code.co_name
    return found


def _owner(frame: FrameType) -> object:
    """What the method is of that a frame carries out; None of a function without arguments."""
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
