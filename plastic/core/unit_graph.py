"""Which layer has which units: a layer, its norms, its activation, and the layers that read it.

Found by symbolic tracing (torch.fx), so it holds for convolutions that are flattened into linear
layers, for streams that share an input, for noisy layers, and for whatever was built or wrapped in
between. It is traced whenever it is asked for: after a `Replace` it is simply right again.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from attrs import field, frozen
from torch import Tensor, fx, nn

from plastic.core.errors import UsageError
from plastic.core.layers import ChannelNorm, CReLU, ScaleGradient, width

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
    nn.Tanh,
    nn.Sigmoid,
    CReLU,
)
NORMS: tuple[type[nn.Module], ...] = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.modules.batchnorm._BatchNorm,
    ChannelNorm,
)
_PASSING: tuple[type[nn.Module], ...] = (nn.Flatten, nn.Identity, ScaleGradient, nn.modules.dropout._DropoutNd)
_PASSING_CALLS = {torch.flatten, "flatten", "contiguous"}
_HIDDEN_ACTIVATIONS: Mapping[Any, str] = {
    **{getattr(F, name): name for name in ("relu", "gelu", "silu", "elu", "leaky_relu", "mish", "softplus", "tanh")},
    **{getattr(torch, name): name for name in ("relu", "tanh", "sigmoid")},
    **{name: name for name in ("relu", "relu_", "tanh", "sigmoid")},
}


@frozen
class Units:
    """The units of one hidden layer; every field is a module's path in the model."""

    layer: str
    norms: tuple[str, ...]
    activation: str
    _readers: tuple[str, ...] = field(alias="readers")
    _obstacle: str | None = field(alias="obstacle")

    @property
    def readers(self) -> tuple[str, ...]:
        """The layers that read these units.

        Raises:
            UsageError: If they cannot be followed there, naming the line that stands between.
        """
        if self._obstacle is not None:
            raise UsageError(f"cannot tell which layers read {self.layer!r}: {self._obstacle}")
        return self._readers


def is_layer(module: nn.Module) -> bool:
    """Whether a module has units of its own: linear, convolutional, noisy, or registered with `width`."""
    return width.dispatch(type(module)) is not width.dispatch(object)


class _Tracer(fx.Tracer):
    record_stack_traces = True  # so that an error can name the line

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return (
            is_layer(m)
            or isinstance(m, ACTIVATIONS + NORMS + _PASSING)
            or super().is_leaf_module(m, module_qualified_name)
        )


def unit_graph(model: nn.Module) -> list[Units]:
    """The hidden layers of `model` in the order they run; layers without an activation are outputs.

    Raises:
        UsageError: If the forward pass cannot be traced, or calls an activation as a function,
            where nothing can be put before it or measured behind it.
    """
    try:
        graph = _Tracer().trace(model)
    except (fx.proxy.TraceError, TypeError) as error:
        raise UsageError(
            f"cannot trace {type(model).__name__}.forward ({error}); keep control flow that depends on "
            "values out of it, or in a module of its own that declares its width"
        ) from error
    modules = dict(model.named_modules())
    found = []
    for node in graph.nodes:
        if node.op == "call_module" and is_layer(modules[node.target]):
            units = _follow(node, modules)
            if units is not None:
                found.append(units)
    return found


def _follow(layer: fx.Node, modules: Mapping[str, nn.Module]) -> Units | None:
    norms: list[str] = []
    node = layer
    while len(node.users) == 1:
        node = next(iter(node.users))
        if node.op in ("call_function", "call_method") and node.target in _HIDDEN_ACTIVATIONS:
            raise UsageError(
                f"the activation {_HIDDEN_ACTIVATIONS[node.target]!r} behind layer {layer.target!r} is a function "
                f"call ({_line(node)}); make it a module, such as nn.ReLU()"
            )
        if node.op != "call_module":
            return None
        module = modules[str(node.target)]
        if isinstance(module, ACTIVATIONS):
            readers, obstacle = _readers(node, modules)
            return Units(str(layer.target), tuple(norms), str(node.target), readers, obstacle)
        if isinstance(module, NORMS):
            norms.append(str(node.target))
        elif not isinstance(module, _PASSING):
            return None
    return None


def _readers(activation: fx.Node, modules: Mapping[str, nn.Module]) -> tuple[tuple[str, ...], str | None]:
    found: list[str] = []
    pending = list(activation.users)
    while pending:
        node = pending.pop(0)
        if node.op == "call_module" and is_layer(modules[str(node.target)]):
            found.append(str(node.target))
        elif (
            node.op == "call_module" and isinstance(modules[str(node.target)], _PASSING)
        ) or node.target in _PASSING_CALLS:
            pending.extend(node.users)
        else:
            return (), f"{node.target} stands between ({_line(node)})"
    return tuple(found), None


def _line(node: fx.Node) -> str:
    trace = node.stack_trace or ""
    lines = [line.strip() for line in trace.splitlines() if line.strip().startswith("File ")]
    return lines[-1] if lines else "at a line that tracing did not record"


def trainable(model: nn.Module, units: Units) -> bool:
    """Whether the layer of these units still learns; the frozen heads of an injection do not."""
    return any(parameter.requires_grad for parameter in model.get_submodule(units.layer).parameters())


def module_of(path: str) -> str:
    """The part of the network a path lies in: `encoder`, `trunk`, `head`."""
    return path.split(".", 1)[0]


@torch.no_grad()
def activations(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[Units, Tensor]:
    """The values [B, units, ...] behind the activation of every hidden layer that still learns."""
    units = [found for found in unit_graph(model) if trainable(model, found)]
    values: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Tensor) -> None:
            values[path] = output

        return hook

    handles = [model.get_submodule(found.activation).register_forward_hook(keep(found.activation)) for found in units]
    try:
        model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {found: values[found.activation] for found in units}
