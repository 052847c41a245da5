"""What a plugin keeps of the units of several layers: one tensor of numbers for all of them, and where whose lie.

Whose numbers they are is a word that a checkpoint can hold, `head.0:8 head.2:4` for 8 numbers of one layer and then 4
of another. With several sizes a layer (`head.0:8:16`, of units and of columns) there is a tensor for each kind.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor


def layout(sizes: Mapping[str, tuple[int, ...]]) -> str:
    """How many numbers each layer has of each kind, as a word.

    >>> layout({"head.0": (8, 16), "head.2": (4, 4)})
    'head.0:8:16 head.2:4:4'
    """
    return " ".join(":".join((layer, *map(str, counts))) for layer, counts in sizes.items())


def places(of: str) -> dict[str, tuple[slice, ...]]:
    """Where the numbers of each layer lie in the tensor of each kind.

    >>> places("head.0:8:16 head.2:4:4")
    {'head.0': (slice(0, 8, None), slice(0, 16, None)), 'head.2': (slice(8, 12, None), slice(16, 20, None))}
    """
    found: dict[str, tuple[slice, ...]] = {}
    at: tuple[int, ...] = ()
    for word in of.split():
        layer, *counts = word.split(":")
        at = at or (0,) * len(counts)
        to = tuple(start + int(count) for start, count in zip(at, counts, strict=True))
        found[layer] = tuple(slice(*ends) for ends in zip(at, to, strict=True))
        at = to
    return found


def drawn_anew(of: str, names: Collection[str]) -> list[tuple[slice, ...]]:
    """The places of the layers some of whose parameters have these names."""
    return [place for layer, place in places(of).items() if any(name.startswith(f"{layer}.") for name in names)]


def refitted(numbers: Tensor | None, kind: int, before: str, now: str, device: torch.device) -> Tensor:
    """The numbers of one kind for the layers there are now: those of layers that are as they were, and zeros.

    Args:
        numbers: Those there were; None if there were none.
        kind: Which size of a layer is theirs.
        before: Whose they were.
        now: Whose they shall be.
        device: Where.
    """
    old, same = places(before), set(before.split())
    parts = []
    for word in now.split():
        layer, *counts = word.split(":")
        if numbers is not None and word in same:
            parts.append(numbers[old[layer][kind]])
        else:
            parts.append(torch.zeros(int(counts[kind]), device=device))
    return torch.cat(parts)
