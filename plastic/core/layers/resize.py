"""Layers of the same kind with other widths; a third-party layer registers its own with `@resized.register`."""

from functools import singledispatch

import torch
from torch import nn

from plastic.core.errors import UsageError
from plastic.core.layers.noisy import NoisyLinear


@singledispatch
def resized(layer: nn.Module, inputs: int, outputs: int) -> nn.Module:
    """A newly initialised layer like `layer` that reads `inputs` and has `outputs` units (or channels).

    Raises:
        UsageError: If nothing says how to make one of this kind.
    """
    raise UsageError(f"no rule for another width of {type(layer).__name__}; register one with resized.register")


@resized.register
def _(layer: nn.Linear, inputs: int, outputs: int) -> nn.Module:
    return nn.Linear(inputs, outputs, bias=layer.bias is not None)


@resized.register
def _(layer: NoisyLinear, inputs: int, outputs: int) -> nn.Module:
    return NoisyLinear(inputs, outputs, layer.sigma)


@resized.register
def _(layer: nn.Conv2d, inputs: int, outputs: int) -> nn.Module:
    if layer.groups != 1:
        raise UsageError("no rule for another width of a grouped convolution")
    new = nn.Conv2d(
        inputs,
        outputs,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        layer.dilation,  # type: ignore[arg-type]
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
    )
    if layer.weight.is_contiguous(memory_format=torch.channels_last):
        # in another layout every step would copy its gradient
        new.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return new


@singledispatch
def width(layer: nn.Module) -> tuple[int, int]:
    """How many features (or channels) a layer reads, and how many units (or channels) it has.

    Raises:
        UsageError: If nothing says so for this kind.
    """
    raise UsageError(f"no rule for the width of {type(layer).__name__}; register one with width.register")


@width.register(nn.Linear)
@width.register(NoisyLinear)
def _(layer: nn.Linear | NoisyLinear) -> tuple[int, int]:
    return layer.in_features, layer.out_features


@width.register
def _(layer: nn.Conv2d) -> tuple[int, int]:
    return layer.in_channels, layer.out_channels
