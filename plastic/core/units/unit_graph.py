"""Which layer has which units: a layer, its norms, its activation, and the layers that read it.

Found by symbolic tracing (torch.fx), so it holds for convolutions that are flattened into linear
layers, for streams that share an input, for noisy layers, and for whatever was built or wrapped in
between. It is traced whenever it is asked for: after a `Replace` it is simply right again.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from traceback import extract_tb
from typing import Any

import torch
import torch.nn.functional as F
from attrs import field, frozen
from torch import fx, nn

from plastic.core.errors import UsageError
from plastic.core.units.known_modules import NORMS, PASSING, is_activation, is_layer, may_activate

_PASSING_CALLS = {torch.flatten, "flatten", "contiguous"}
_TORCH = f'File "{Path(torch.__file__).parent}'  # the innermost lines of a trace are those of tracing itself
_HIDDEN_NAMES = (
    *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus"),
    *("softsign", "tanh", "sigmoid", "logsigmoid", "hardtanh", "hardswish", "hardsigmoid", "threshold"),
)
_HIDDEN_ACTIVATIONS: Mapping[Any, str] = {
    function: name.rstrip("_")
    for name in (*_HIDDEN_NAMES, *(f"{name}_" for name in _HIDDEN_NAMES))
    for function in (getattr(F, name, None), getattr(torch, name, None), name)  # name: x.relu()
    if function is not None
}


@frozen
class Units:
    """The units of one hidden layer; every field is a module's path in the model."""

    layer: str
    norms: tuple[str, ...]
    activation: str
    _readers: tuple[str, ...] = field(alias="readers")
    _obstacle: Callable[[], str] | None = field(alias="obstacle", eq=False)  # names its line, which takes a trace
    downstream: tuple[str, ...] = ()  # the next layers on any way, whatever stands between; never an error
    between: tuple[str, ...] = ()  # what does stand there, beside what is known to pass units on as they are

    @property
    def readers(self) -> tuple[str, ...]:
        """The layers that read these units and nothing else: whoever changes how many there are makes these anew.

        So a concatenation ends the way. The layer behind it reads other values beside, and which of its columns are
        these units' is not in the graph; `plastic.core.units.wiring` sees it.

        Raises:
            UsageError: If they cannot be followed there, naming the line that stands between.
        """
        if self._obstacle is not None:
            raise UsageError(f"cannot tell which layers read {self.layer!r}: {self._obstacle()}")
        return self._readers


class _Tracer(fx.Tracer):
    def __init__(self, *, lines: bool) -> None:
        super().__init__()
        self.record_stack_traces = lines

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return (
            is_layer(m)
            or is_activation(m)
            or isinstance(m, NORMS + PASSING)
            or super().is_leaf_module(m, module_qualified_name)
        )


def unit_graph(model: nn.Module) -> list[Units]:
    """The hidden layers of `model` in the order they run; layers without an activation are outputs.

    Raises:
        UsageError: If the forward pass cannot be traced, if it calls an activation as a function or one
            module for several layers, where nothing can be put before it or measured behind it, if all
            that stands between two layers is a module nobody knows, or if several layers have no
            activation among them.
    """
    try:
        return _traced(model, lines=False)
    except UsageError:
        return _traced(model, lines=True)


def _traced(model: nn.Module, *, lines: bool) -> list[Units]:
    # An error names the line it is about, but to record every line takes three times as long.
    try:
        graph = _Tracer(lines=lines).trace(model)
    except (fx.proxy.TraceError, TypeError, RuntimeError) as error:
        raise UsageError(
            f"cannot trace {type(model).__name__}.forward ({error}{_innermost(error)}); keep control flow that "
            "depends on values out of it, or in a module of its own that declares its width"
        ) from error
    modules = dict(model.named_modules())
    layers = [node for node in graph.nodes if node.op == "call_module" and is_layer(modules[node.target])]
    found = [units for units in (_follow(node, modules, partial(_obstacle, model)) for node in layers) if units]
    for first, second in pairwise(sorted(found, key=lambda units: units.activation)):
        if first.activation == second.activation:
            raise UsageError(
                f"the activation {first.activation!r} runs behind {first.layer!r} and again behind {second.layer!r}; "
                "give each layer a module of its own"
            )
    if len(layers) > 1 and not found:
        behind = next(iter(layers[0].users), layers[0])
        raise UsageError(
            f"no activation found behind any layer: {layers[0].target!r} goes to {_name(behind)} ({_line(behind)}); "
            "make activations modules of torch.nn, such as nn.ReLU()"
        )
    return found


def _obstacle(model: nn.Module, layer: str, found: str | None) -> str:
    """What stands between a layer and its readers: as `found`, or, if no line was recorded, traced once more."""
    if found is None:
        again = next(units for units in _traced(model, lines=True) if units.layer == layer)
        assert again._obstacle is not None  # the model is as it was
        return again._obstacle()
    return found


def _follow(
    layer: fx.Node, modules: Mapping[str, nn.Module], obstacle_of: Callable[[str, str | None], str]
) -> Units | None:
    norms: list[str] = []
    node = layer
    while len(node.users) == 1:
        node = next(iter(node.users))
        if node.op in ("call_function", "call_method") and node.target in _HIDDEN_ACTIVATIONS:
            _refuse_unknown(layer, [node], modules)
            raise UsageError(
                f"the activation {_HIDDEN_ACTIVATIONS[node.target]!r} behind layer {layer.target!r} is a function "
                f"call ({_line(node)}); make it a module, such as nn.ReLU()"
            )
        if _passes(node, modules):
            continue
        if node.op == "call_module" and is_activation(modules[str(node.target)]):
            path = str(layer.target)
            readers, found = _readers(node, modules)
            obstacle = partial(obstacle_of, path, found if node.stack_trace else None) if found else None
            downstream, between = _downstream(node, modules)
            return Units(path, tuple(norms), str(node.target), readers, obstacle, downstream, between)
        if node.op == "call_module" and isinstance(modules[str(node.target)], NORMS):
            norms.append(str(node.target))
        else:
            _refuse_unknown(layer, [node], modules)
            return None
    _refuse_unknown(layer, list(node.users), modules)
    return None


def _passes(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Whether what comes out are the units that went in."""
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], PASSING)
    return node.target in _PASSING_CALLS


def _refuse_unknown(layer: fx.Node, pending: list[fx.Node], modules: Mapping[str, nn.Module]) -> None:
    """An error if all that stands between `layer` and the next one is a module that may well be its activation.

    Args:
        layer: The layer.
        pending: What its units go to first.
        modules: Of the model, by path.
    """
    into = [_inside(node) for node in pending]
    unknown = [path for path in (into[0] if into else ()) if may_activate(modules[path])]
    if not unknown or not all(unknown[0] in paths for paths in into):
        return
    seen, reached = set[fx.Node](), ""
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        normed = node.op == "call_module" and isinstance(modules[str(node.target)], NORMS)
        if unknown[0] in _inside(node) or normed or _passes(node, modules):
            pending.extend(node.users)
        elif node.op == "call_module" and is_layer(modules[str(node.target)]):
            reached = str(node.target)
        else:
            return
    if reached:
        kind = type(modules[unknown[0]]).__name__
        raise UsageError(
            f"all that stands between {layer.target!r} and {reached!r} is {unknown[0]!r}, and nothing says whether "
            f"{kind} is an activation; say it with is_activation.register({kind}, lambda module: True), or False"
        )


def _inside(node: fx.Node) -> tuple[str, ...]:
    """The modules that a node is a part of, by path, the outermost first."""
    return tuple(path for path, _ in node.meta.get("nn_module_stack", {}).values())


def _downstream(activation: fx.Node, modules: Mapping[str, nn.Module]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found: list[str] = []
    between: list[str] = []
    pending, seen = list(activation.users), set[fx.Node]()
    while pending:
        node = pending.pop(0)
        if node.op == "call_module" and is_layer(modules[str(node.target)]):
            found.append(str(node.target))
        elif node not in seen:
            seen.add(node)
            pending.extend(node.users)
            if node.op != "output" and not _passes(node, modules):
                between.append(_name(node))
    return tuple(dict.fromkeys(found)), tuple(dict.fromkeys(between))


def _readers(activation: fx.Node, modules: Mapping[str, nn.Module]) -> tuple[tuple[str, ...], str | None]:
    found: list[str] = []
    pending = list(activation.users)
    while pending:
        node = pending.pop(0)
        if node.op == "call_module" and is_layer(modules[str(node.target)]):
            found.append(str(node.target))
        elif _passes(node, modules):
            pending.extend(node.users)
        elif node.op == "output":
            return (), "they are an output of the network"
        else:
            return (), f"{_name(node)} stands between ({_line(node)})"
    return tuple(dict.fromkeys(found)), None


def _name(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _line(node: fx.Node) -> str:
    lines = [line.strip() for line in (node.stack_trace or "").splitlines()]
    users = [line for line in lines if line.startswith("File ") and not line.startswith(_TORCH)]
    return users[-1] if users else "at a line that tracing did not record"


def trainable(model: nn.Module, units: Units) -> bool:
    """Whether the layer of these units still learns; the frozen heads of an injection do not."""
    return any(parameter.requires_grad for parameter in model.get_submodule(units.layer).parameters())


def _innermost(error: Exception) -> str:
    """The innermost line of a forward pass that an error came from."""
    ours = [
        f
        for f in extract_tb(error.__traceback__)
        if not f'File "{f.filename}'.startswith(_TORCH) and f.filename != __file__
    ]
    return f", at {Path(ours[-1].filename).name}:{ours[-1].lineno}: {ours[-1].line}" if ours else ""
