"""What was measured of single tensors, by module of the network and in total."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from plastic.core.units.selection import module_of

Part = TypeVar("Part")


def by_module(parts: Iterable[tuple[str, Part]], pool: Callable[[Sequence[Part]], Tensor]) -> dict[str, Tensor]:
    """One value of all the parts in a module, and one of all parts there are, `total`.

    >>> parts = [("encoder.0", torch.tensor(3.0)), ("head.0", torch.tensor(4.0)), ("head.2", torch.tensor(12.0))]
    >>> {name: round(value.item(), 2) for name, value in by_module(parts, joint_norm).items()}
    {'encoder': 3.0, 'total': 13.0, 'head': 12.65}

    Args:
        parts: Each with the path of a layer or a parameter.
        pool: Makes one value of several parts: `joint_norm`, `total` or `share`.
    """
    pooled: dict[str, list[Part]] = {}
    for path, part in parts:
        for key in (module_of(path), "total"):
            pooled.setdefault(key, []).append(part)
    return {key: pool(own) for key, own in pooled.items()}


def joint_norm(norms: Sequence[Tensor]) -> Tensor:
    """The L2 norm of several tensors as one, from the norms of each, scalars."""
    norm: Tensor = torch.stack(tuple(norms)).norm()
    return norm


def total(scalars: Sequence[Tensor]) -> Tensor:
    """Their sum."""
    return torch.stack(tuple(scalars)).sum()


def counted(true: Tensor) -> tuple[Tensor, int]:
    """How many entries of a boolean tensor are true, a scalar, and how many there are."""
    return true.sum(), true.numel()


def share(counts: Sequence[tuple[Tensor, int]]) -> Tensor:
    """The share of entries that are true, those of several tensors together; of what `counted` gives.

    >>> share([counted(torch.tensor([True, False])), counted(torch.tensor([True, True, True, False]))]).item()
    0.666...
    """
    return total([true for true, _ in counts]) / sum(entries for _, entries in counts)
