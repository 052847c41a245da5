"""Words for parts of a network: `encoder`, `trunk`, `head`, or a path with wildcards."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache

from torch import nn

from plastic.core.errors import NothingToActOn
from plastic.core.units.unit_graph import Units, unit_graph

ALIASES = {"backbone": "encoder", "all": "*", "whole": "*"}
_NOT = "not-"
_USUAL = ("encoder", "backbone", "trunk", "head")  # some networks go without one: `not-encoder` is all of those


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
        raise NothingToActOn(f"no parameters match {pattern!r}; {_modules([model])}")
    return found


def unmatched(models: Iterable[nn.Module], pattern: str) -> tuple[str, str] | None:
    """The first of several parts joined by `+` that names nothing in any of the models, and what to write instead.

    None where each names something, were it no more than a layer that has no parameters. What stands behind `not-`
    must be there, too, except for what the parts of a network are usually called. A lone part is left to whoever
    selects.
    """
    models = list(models)
    parts = pattern.split("+")
    paths = {path for model in models for path, _ in model.named_modules(remove_duplicate=False) if path}
    names = {name for model in models for name, _ in model.named_parameters(remove_duplicate=False)}
    for part in parts:
        named = part.removeprefix(_NOT)
        negated = part != named
        if (named in _USUAL) if negated else (len(parts) == 1):
            continue
        if not any(selects(named, path) for path in (*paths, *names)):
            near = get_close_matches(named, sorted(paths), n=1)
            if not near:
                return part, _modules(models)
            return part, f"did you mean {(_NOT if negated else '') + near[0]!r}?"
    return None


def _modules(models: Iterable[nn.Module]) -> str:
    modules = sorted({module_of(name) for model in models for name, _ in model.named_parameters()})
    if len(modules) == 1:
        return f"the network has {modules[0]} alone; choose layers={modules[0]}"
    return f"the network has {', '.join(modules)}"


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
