"""What there is to know of an activation; one of one's own registers itself where the defaults are not its own."""

from functools import singledispatch

from torch import nn

from plastic.core.layers.crelu import CReLU

_NEVER_OFF = (nn.Tanh, nn.Sigmoid, nn.Softplus)  # a sign says nothing about them


@singledispatch
def expansion(activation: nn.Module) -> int:
    """How many numbers come of one unit: 1, and of activations that are concatenated on the units' axis as many."""
    return 1


@expansion.register
def _(activation: CReLU) -> int:
    return 2


@singledispatch
def can_be_off(activation: nn.Module) -> bool:
    """Whether a unit is on where the value is above zero and off where it is not, as behind ReLU."""
    return not isinstance(activation, _NEVER_OFF)
