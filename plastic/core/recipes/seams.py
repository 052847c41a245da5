"""The seams of a kind of plugin are its public methods: a class fills them as they are, or is refused."""

import inspect
from difflib import get_close_matches
from typing import Any

from plastic.core.errors import UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import OptimizerModifier
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe

_KINDS = (OptimizerModifier, PlasticityIntervention, Probe)
_NEARLY = 0.75  # how alike two names are when one is taken for the other misspelt


def refuse_wrong_seams(cls: type[Plugin], kind: type[Any], owner: str) -> None:
    """Refuse a class that leaves a seam out that it must fill, or fills one that is not there, or is another.

    Raises:
        UsageError: If a seam is missing, misspelt, of another kind of plugin, or takes other arguments.
    """
    for missing in sorted(getattr(cls, "__abstractmethods__", ())):
        raise UsageError(f"{owner} has no `{missing}`; a {kind.__name__} needs one")
    mine = _seams(kind)
    for name, own in _methods(cls, kind).items():
        if name in mine:
            _refuse_other_arguments(name, own, mine[name], kind, owner)
            continue
        for other in _KINDS:
            if other is not kind and name in _seams(other):
                why = " and changes nothing" if kind is Probe else ""
                raise UsageError(
                    f"{owner} is a {kind.__name__}{why}, and `{name}` is of a {other.__name__}; make it two plugins"
                )
        near = get_close_matches(name, mine, n=1, cutoff=_NEARLY)
        if near:
            raise UsageError(
                f"{owner} has a method `{name}`, which nobody calls; did you mean `{near[0]}`? If not, begin it with _"
            )


def _seams(kind: type[Any]) -> dict[str, Any]:
    """What a class of this kind may fill, by name."""
    found = {**vars(Plugin), **vars(kind)}
    return {
        name: value
        for name, value in found.items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    }


def _methods(cls: type[Plugin], kind: type[Any]) -> dict[str, Any]:
    """Public methods and properties of the class and those between it and its kind, the nearest of a name."""
    between = cls.__mro__[: cls.__mro__.index(kind)]
    return {
        name: value
        for one in reversed(between)
        for name, value in vars(one).items()
        if not name.startswith("_") and (callable(value) or isinstance(value, property | staticmethod | classmethod))
    }


def _refuse_other_arguments(name: str, own: Any, seam: Any, kind: type[Any], owner: str) -> None:
    if isinstance(seam, property):
        if not isinstance(own, property):
            raise UsageError(f"{owner}.{name} is no property, and {kind.__name__}.{name} is; add @property")
        return
    if not inspect.isfunction(own):
        raise UsageError(f"{owner}.{name} is a {type(own).__name__}, and {kind.__name__}.{name} a method; make it one")
    given, wanted = inspect.signature(own), inspect.signature(seam)
    try:
        given.bind(*wanted.parameters)  # as many, by place, as it is called with
    except TypeError:
        raise UsageError(
            f"{owner}.{name} takes {_in_words(given)}, and {kind.__name__}.{name} {_in_words(wanted)}"
        ) from None


def _in_words(signature: inspect.Signature) -> str:
    return f"({', '.join(str(p.replace(annotation=inspect.Parameter.empty)) for p in signature.parameters.values())})"
