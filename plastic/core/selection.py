"""Words for parts of a network: `encoder`, `trunk`, `head`, or a path with wildcards."""

from fnmatch import fnmatchcase
from functools import cache

from torch import nn

from plastic.core.errors import UsageError

ALIASES = {"backbone": "encoder", "all": "*", "whole": "*"}


@cache
def selects(pattern: str, path: str) -> bool:
    """Whether `pattern` names the module or parameter at `path`, or a module it lies in.

    Several patterns are joined by `+`; each is a dotted path in which `*` stands for anything.

    >>> selects("head", "head.value.0.bias"), selects("head", "encoder.0.bias")
    (True, False)
    >>> selects("backbone+head.*.2", "encoder.0.bias"), selects("head.*.2", "head.value.2.bias")
    (True, True)
    """
    for part in pattern.split("+"):
        glob = ALIASES.get(part, part)
        if fnmatchcase(path, glob) or fnmatchcase(path, f"{glob}.*"):
            return True
    return False


def matching(model: nn.Module, pattern: str) -> list[tuple[str, nn.Parameter]]:
    """The named parameters of `model` that `pattern` selects, frozen ones included.

    Raises:
        UsageError: If there are none; an option that selects nothing would be inert.
    """
    found = [(name, parameter) for name, parameter in model.named_parameters() if selects(pattern, name)]
    if not found:
        modules = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
        raise UsageError(f"no parameters match {pattern!r}; the network has {', '.join(modules)}")
    return found
