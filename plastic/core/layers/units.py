"""Where a layer's output has its units; a third-party layer registers itself where the defaults are not its own."""

from functools import singledispatch

from torch import Tensor, nn

from plastic.core.layers.ensemble import EnsembleLinear


@singledispatch
def members(layer: nn.Module) -> int:
    """How many layers it is that are evaluated together: an ensemble's members, else 1."""
    return 1


@members.register
def _(layer: EnsembleLinear) -> int:
    return layer.members


@singledispatch
def unit_axis(layer: nn.Module) -> int:
    """The axis of the output on which the units of one member (or channels) are: 1 unless registered otherwise."""
    return 1


@unit_axis.register
def _(layer: EnsembleLinear) -> int:
    return -1


def by_unit(layer: nn.Module, values: Tensor) -> Tensor:
    """Values behind `layer` as [B, units, ...]; an ensemble's [B, members, units] become [B, members * units]."""
    return values.movedim(unit_axis(layer), 1) if members(layer) == 1 else values.flatten(1, 2)


def by_member(layer: nn.Module, values: Tensor) -> tuple[Tensor, ...]:
    """What `by_unit` gave, [B, units, ...] for each member."""
    each: tuple[Tensor, ...] = values.unflatten(1, (members(layer), -1)).unbind(1)
    return each
