"""The errors a user is meant to read: one sentence that says what was wrong and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class PlasticError(Exception):
    """An error with a message for the user; on the command line it is printed alone, in one line."""

    exit_code: ClassVar[int] = 1


class UsageError(PlasticError):
    """What was asked for cannot be done: a wrong name, a wrong value, a conflict."""

    exit_code: ClassVar[int] = 2


class NothingToActOn(UsageError):  # noqa: N818  # it says what happened, as StopIteration does
    """A plugin found nothing of what it changes or measures in a network.

    Where the user named that network it is an error like any other; where the plugin came there by default,
    it goes without it.

    Attributes:
        plugin: Which one; set by the learner that asked it.
        learner: The learner of that network.
    """

    plugin: object = None
    learner: str = ""


class RunError(PlasticError):
    """A run that was started rightly failed on the way: a loss that is not finite, a full disk."""

    exit_code: ClassVar[int] = 1


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known one in any case, else all that are known.

    >>> suggestion("smm", ["sam", "swa"])
    "did you mean 'sam'?"
    >>> suggestion("SAM", ["sam", "swa"])
    "did you mean 'sam'?"
    >>> suggestion("zzz", ["sam", "swa"])
    'known: sam, swa'
    """
    known = sorted(known)
    near = get_close_matches(name, known, n=1)
    if not near or near[0].lower() != name.lower():
        small = {one.lower(): one for one in known}
        near = [small[one] for one in get_close_matches(name.lower(), small, n=1)] or near
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
