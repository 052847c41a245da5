"""The layer norm that goes behind a layer; a third-party layer registers its own with `@norm_for.register`."""

from functools import singledispatch
from typing import Literal

from torch import nn

from plastic.core.layers.channel_norm import ChannelNorm
from plastic.core.layers.ensemble import EnsembleLinear
from plastic.core.layers.member_norm import MemberNorm
from plastic.core.layers.resize import width

NormAxes = Literal["channel", "image"]
_EPS = 1e-6  # Flax's and PLASTIC's


@singledispatch
def norm_for(layer: nn.Module, axes: NormAxes, *, affine: bool) -> nn.Module:
    """A new norm over the units of `layer`.

    Args:
        layer: The layer it goes behind.
        axes: For convolutions: each pixel over its channels, or all channels and pixels together.
        affine: Whether a scale and a shift are learned.

    Raises:
        UsageError: If nothing says how wide the layer is.
    """
    return nn.LayerNorm(width(layer)[1], eps=_EPS, elementwise_affine=affine)


@norm_for.register
def _(layer: nn.modules.conv._ConvNd, axes: NormAxes, *, affine: bool) -> nn.Module:
    channels = width(layer)[1]
    if axes == "image":
        return nn.GroupNorm(1, channels, affine=affine)
    return ChannelNorm(channels, eps=_EPS, elementwise_affine=affine)


@norm_for.register
def _(layer: EnsembleLinear, axes: NormAxes, *, affine: bool) -> nn.Module:
    return MemberNorm(layer.members, width(layer)[1], eps=_EPS, elementwise_affine=affine)
