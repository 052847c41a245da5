"""Words for parts of a network: `encoder`, `trunk`, `head`, or a path with wildcards."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache

from torch import nn

from plastic.core.errors import NothingToActOn
from plastic.core.units.unit_graph import Units, unit_graph

ALIASES = {"backbone": "encoder", "all": "*", "whole": "*"}
_NOT = "not-"


@cache
def selects(pattern: str, path: str) -> bool:
    """Whether `pattern` names the module or parameter at `path`, or a module it lies in.

    Several patterns are joined by `+`; each is a dotted path in which `*` stands for anything, and `not-`
    before it names everything else.

    >>> selects("head", "head.value.0.bias"), selects("head", "encoder.0.bias")
    (True, False)
    >>> selects("not-encoder", "trunk.0.bias"), selects("not-encoder", "encoder.0.bias")
    (True, False)
    >>> selects("backbone+head.*.2", "encoder.0.bias"), selects("head.*.2", "head.value.2.bias")
    (True, True)
    """
    return any(_selects(part, path) for part in pattern.split("+"))


def _selects(part: str, path: str) -> bool:
    if part.startswith(_NOT):
        return not _selects(part.removeprefix(_NOT), path)
    glob = ALIASES.get(part, part)
    return fnmatchcase(path, glob) or fnmatchcase(path, f"{glob}.*")


def module_of(path: str) -> str:
    """The part of the network a path lies in: `encoder`, `trunk`, `head`."""
    return path.split(".", 1)[0]


def matching(model: nn.Module, pattern: str) -> list[tuple[str, nn.Parameter]]:
    """The named parameters of `model` that `pattern` selects, frozen ones included.

    Raises:
        NothingToActOn: If there are none; an option that selects nothing would be inert.
    """
    found = [(name, parameter) for name, parameter in model.named_parameters() if selects(pattern, name)]
    if not found:
        modules = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
        raise NothingToActOn(f"no parameters match {pattern!r}; the network has {', '.join(modules)}")
    return found


def hidden_layers(
    model: nn.Module,
    layers: str,
    name: str = "",
    *,
    what: str = "hidden layer",
    fits: Callable[[Units], bool] | None = None,
) -> list[Units]:
    """The hidden layers of `model` whose path `layers` selects, in the order they run.

    Args:
        model: The network.
        layers: A pattern, or several.
        name: Of the plugin that asks, for the error.
        what: The kind of layer that is looked for, for the error.
        fits: Which of them are of that kind; all if left out.

    Raises:
        NothingToActOn: If there are none.
    """
    found = [units for units in unit_graph(model) if selects(layers, units.layer) and (fits is None or fits(units))]
    if not found:
        whose = f"{name}: " if name else ""
        raise NothingToActOn(f"{whose}no {what} matches layers={layers}")
    return found
