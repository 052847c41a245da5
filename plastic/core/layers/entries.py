"""Which entries of a layer's parameters belong to which unit; a third-party layer registers its own.

`@rows.register` says which entries make a unit, `@columns.register` which read one.
"""

from functools import singledispatch
from typing import Literal

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from plastic.core.errors import UsageError
from plastic.core.layers.ensemble import EnsembleLinear
from plastic.core.layers.noisy import NoisyLinear

Role = Literal["weight", "bias", "deviation", "norm"]


@frozen(eq=False)
class Entries:
    """Whose each entry of one parameter is.

    Attributes:
        name: The parameter's, within the module that was asked.
        owner: A number for every entry, -1 where it is nobody's; it broadcasts to the parameter's shape.
        role: `weight` multiplies what is read and `bias` is added to it; `deviation` is that of noise on either,
            `norm` a scale or shift of a norm behind the layer.
    """

    name: str
    owner: Tensor
    role: Role


@singledispatch
def rows(layer: nn.Module) -> tuple[Entries, ...]:
    """The entries that make each unit of `layer`, by the unit's number; an ensemble counts on from member to member.

    Raises:
        UsageError: If nothing says so for this kind.
    """
    raise UsageError(f"no rule for the rows of {type(layer).__name__}; register one with rows.register")


@singledispatch
def columns(layer: nn.Module, read: Tensor) -> tuple[Entries, ...]:
    """The entries that multiply what `layer` reads.

    Args:
        layer: The reader.
        read: A number for each entry of one sample of its input, -1 where none is asked for; entries get them on.

    Raises:
        UsageError: If nothing says so for this kind, or one column of a parameter reads several numbers.
    """
    raise UsageError(f"no rule for the columns of {type(layer).__name__}; register one with columns.register")


def one_number(read: Tensor, axis: int) -> Tensor:
    """The one number of each place along `axis`, [...] -> [places]; -1 beside a number (padding) does not count.

    Raises:
        UsageError: If there are two.
    """
    places = read.movedim(axis, 0).reshape(read.shape[axis], -1)
    number = places.amax(1)
    if ((places != number.unsqueeze(1)) & (places != -1)).any():
        raise UsageError("one column of the weights reads several units")
    return number


def _numbers(layer: nn.Module, *shape: int) -> Tensor:
    count = 1
    for size in shape:
        count *= size
    return torch.arange(count, device=next(layer.parameters()).device).view(shape)


def _with_bias(layer: nn.Module, weight: Tensor, bias: Tensor) -> tuple[Entries, ...]:
    found = (Entries("weight", weight, "weight"), Entries("bias", bias, "bias"))
    return found if getattr(layer, "bias", None) is not None else found[:1]


@rows.register
def _(layer: nn.Linear) -> tuple[Entries, ...]:
    units = _numbers(layer, layer.out_features)
    return _with_bias(layer, units[:, None], units)


@columns.register
def _(layer: nn.Linear, read: Tensor) -> tuple[Entries, ...]:
    return (Entries("weight", one_number(read, -1), "weight"),)


@rows.register
def _(layer: NoisyLinear) -> tuple[Entries, ...]:
    units = _numbers(layer, layer.out_features)
    return (
        Entries("weight_mu", units[:, None], "weight"),
        Entries("weight_sigma", units[:, None], "deviation"),
        Entries("bias_mu", units, "bias"),
        Entries("bias_sigma", units, "deviation"),
    )


@columns.register
def _(layer: NoisyLinear, read: Tensor) -> tuple[Entries, ...]:
    number = one_number(read, -1)
    return (Entries("weight_mu", number, "weight"), Entries("weight_sigma", number, "deviation"))


@rows.register
def _(layer: EnsembleLinear) -> tuple[Entries, ...]:
    units = _numbers(layer, layer.members, layer.out_features)
    return _with_bias(layer, units[:, :, None], units)


@columns.register
def _(layer: EnsembleLinear, read: Tensor) -> tuple[Entries, ...]:
    # [in], read by all members, or [members, in], each its own
    return (Entries("weight", read.expand(layer.members, -1).unsqueeze(1), "weight"),)


@rows.register
def _(layer: _ConvNd) -> tuple[Entries, ...]:
    units = _numbers(layer, layer.out_channels)
    return _with_bias(layer, _over_pixels(layer, units[:, None]), units)


@columns.register
def _(layer: _ConvNd, read: Tensor) -> tuple[Entries, ...]:
    number = one_number(read, 0).view(layer.groups, 1, -1)  # each group's units read its own channels
    number = number.expand(-1, layer.out_channels // layer.groups, -1).flatten(0, 1)
    return (Entries("weight", _over_pixels(layer, number), "weight"),)


@rows.register
def _(layer: _ConvTransposeNd) -> tuple[Entries, ...]:
    units = _numbers(layer, layer.out_channels)
    number = units.view(layer.groups, 1, -1).expand(-1, layer.in_channels // layer.groups, -1).flatten(0, 1)
    return _with_bias(layer, _over_pixels(layer, number), units)


@columns.register
def _(layer: _ConvTransposeNd, read: Tensor) -> tuple[Entries, ...]:
    return (Entries("weight", _over_pixels(layer, one_number(read, 0)[:, None]), "weight"),)


def _over_pixels(layer: _ConvNd, number: Tensor) -> Tensor:
    return number.view(*number.shape, *(1 for _ in layer.kernel_size))


def norm_rows(norm: nn.Module, members: int, units: int) -> tuple[Entries, ...]:
    """The scales and shifts of a norm behind a layer, by the layer's units; what several units share is nobody's."""
    shape = (units,) if members == 1 else (members, units)
    found = []
    for name, parameter in norm.named_parameters(recurse=False):
        if parameter.shape[: len(shape)] == shape:
            rest = (1,) * (parameter.dim() - len(shape))
            found.append(Entries(name, _numbers(norm, *shape).view(*shape, *rest), "norm"))
    return tuple(found)
