"""What is known of modules by their class: activations, norms, layers, and what passes units on as they are.

A network of one's own may hold activations of one's own: `is_activation.register(Mine, lambda module: True)`.
"""

from functools import singledispatch

from torch import nn

from plastic.core.layers import ChannelNorm, CReLU, HalfTurn, MemberNorm, ScaleGradient, UnitMask, width

ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Softplus,
    nn.Softsign,
    nn.Tanh,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Hardtanh,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardshrink,
    nn.Softshrink,
    nn.Tanhshrink,
    nn.RReLU,
    nn.Threshold,
    CReLU,
)
NORMS: tuple[type[nn.Module], ...] = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.modules.batchnorm._BatchNorm,
    ChannelNorm,
    MemberNorm,
)
PASSING: tuple[type[nn.Module], ...] = (
    nn.Flatten,
    nn.Identity,
    HalfTurn,
    ScaleGradient,
    UnitMask,
    nn.modules.dropout._DropoutNd,
)


@singledispatch
def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation: those of torch.nn are; any other kind registers what it is."""
    return isinstance(module, ACTIVATIONS)


def is_layer(module: nn.Module) -> bool:
    """Whether a module has units of its own: linear, convolutional, noisy, or registered with `width`."""
    return width.dispatch(type(module)) is not width.dispatch(object)


def may_activate(module: nn.Module) -> bool:
    """Whether a module nobody knows could be an activation: it is not of torch.nn and has no parameters."""
    if type(module).__module__.startswith("torch.nn.") or any(True for _ in module.parameters()):
        return False
    said = is_activation.dispatch(type(module)) is not is_activation.dispatch(object)
    return not said and not any(isinstance(part, ACTIVATIONS) for part in module.modules())
