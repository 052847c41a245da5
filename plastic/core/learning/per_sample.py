"""Gradients of the losses of single samples: how long each is, without a backward pass for each.

One backward pass for the whole batch gives the gradient of every layer's output, sample by sample, because no
sample's loss depends on another sample. A layer that is known then needs no gradient of its own to be formed: that
of a linear layer's weights at one sample is the outer product of two vectors, and as long as the product of their
lengths. A layer nobody knows is differentiated at one sample after the other, by itself. A layer of one's own may be
made fast: `per_sample.register(Mine)`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import singledispatch
from typing import Any

import torch
import torch.nn.functional as F
from attrs import define
from torch import Tensor, nn
from torch.func import functional_call

from plastic.core.errors import UsageError
from plastic.core.layers import ChannelNorm, EnsembleLinear, MemberNorm, NoisyLinear

_ENTRIES = 2**23  # of what is formed at a time: 32 MB
_TOLERANCE = 1e-3  # relative, of a squared norm

Squares = Mapping[str, Tensor]  # squared L2 norms [B] of the samples' gradients, by parameter


@define(eq=False)
class _Call:
    """One call of a module: what it read, and what the gradient of its output came to be."""

    arguments: tuple[Any, ...]
    plain: bool  # every argument and the output is a tensor
    gradient: Tensor | None = None

    def differentiated(self, gradient: Tensor) -> None:
        """Keep the gradient of the first backward pass, that of all losses."""
        if self.gradient is None:
            self.gradient = gradient


def sample_gradients(model: nn.Module, losses: Callable[[nn.Module], Tensor]) -> dict[str, Tensor]:
    """Squared L2 norms [B] of the samples' gradients, by every trained parameter that the losses depend on.

    The sample of the longest gradient is differentiated by itself, and what the layers gave is compared with that.
    Where it is not the same, because weights are used twice or elsewhere, the whole network is differentiated at one
    sample after the other.

    Args:
        model: Called once by `losses`, in evaluation mode; each row of what it reads and gives belongs to one sample.
        losses: Model -> losses [B], each of its own sample alone.

    Raises:
        UsageError: If it is not the same even so.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    wanted = list(trained.values())
    with torch.enable_grad(), _recorded(model, trained) as calls:
        values = losses(model)
        every = torch.autograd.grad(values.sum(), wanted, allow_unused=True, retain_graph=True)
    reached = [name for name, gradient in zip(trained, every, strict=True) if gradient is not None]
    found = _by_layer(model, calls, reached, len(values))
    longest = int(torch.stack([torch.zeros_like(values.detach()), *found.values()]).sum(0).argmax())
    alone = dict(zip(trained, torch.autograd.grad(values[longest], wanted, allow_unused=True), strict=True))
    rest = [name for name in reached if not _same(found.get(name), longest, alone[name])]
    whole = _single(calls.get("", []), len(values)) if rest else None
    if whole is not None and whole.gradient is not None:
        found |= one_by_one(model, whole.arguments, whole.gradient, rest)
    for name in rest:
        if not _same(found.get(name), longest, alone[name]):
            raise UsageError(
                f"the loss of a single sample cannot be differentiated by {name}; that needs a network which is called "
                "once, with samples on the first axis that do not mix"
            )
    return {name: found[name] for name in reached}


def _same(squares: Tensor | None, sample: int, alone: Tensor | None) -> bool:
    if squares is None:
        return False
    square = torch.zeros_like(squares[sample]) if alone is None else alone.square().sum()
    # written so that what is not finite passes: that is nobody's mistake here
    return not bool((squares[sample] - square).abs() > _TOLERANCE * torch.maximum(square, squares[sample]))


@contextmanager
def _recorded(model: nn.Module, trained: Collection[str]) -> Iterator[dict[str, list[_Call]]]:
    """Inside, calls of the model and of the modules that hold these parameters are written down, by path."""
    calls: dict[str, list[_Call]] = {}

    def hook(path: str) -> Callable[..., None]:
        def keep(module: nn.Module, arguments: tuple[Any, ...], more: dict[str, Any], output: Any) -> None:
            if not torch.is_grad_enabled():
                return  # of a bootstrap target
            plain = not more and all(isinstance(value, Tensor) for value in (*arguments, output))
            detached = tuple(value.detach() if isinstance(value, Tensor) else value for value in arguments)
            calls.setdefault(path, []).append(_Call(detached, plain))
            if plain and output.requires_grad:
                # on the tensor as it is now: an activation may write into its memory
                output.register_hook(calls[path][-1].differentiated)

        return keep

    paths = dict.fromkeys(["", *(name.rpartition(".")[0] for name in trained)])
    handles = [
        model.get_submodule(path).register_forward_hook(hook(path), with_kwargs=True, prepend=True) for path in paths
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _single(calls: list[_Call], batch: int) -> _Call | None:
    """The one call there was, if it reads and gives a row for each sample."""
    if len(calls) != 1 or not calls[0].plain or not calls[0].arguments:
        return None
    (call,) = calls
    rows = [*call.arguments] if call.gradient is None else [*call.arguments, call.gradient]
    return call if all(value.dim() > 0 and len(value) == batch for value in rows) else None


def _by_layer(
    model: nn.Module, calls: Mapping[str, list[_Call]], wanted: Collection[str], batch: int
) -> dict[str, Tensor]:
    shared = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    owned: dict[str, list[str]] = {}
    for name in wanted:
        path, _, own = name.rpartition(".")
        if shared[id(model.get_parameter(name))] == 1:
            owned.setdefault(path, []).append(own)
    found: dict[str, Tensor] = {}
    for path, names in owned.items():
        call = _single(calls.get(path, []), batch)
        if call is None or call.gradient is None:
            continue
        layer = model.get_submodule(path)
        given = dict(per_sample(layer, call.arguments, call.gradient)) if _is_known(layer) else {}
        rest = [name for name in names if name not in given]
        if rest:
            given |= one_by_one(layer, call.arguments, call.gradient, rest)
        found |= {f"{path}.{name}" if path else name: given[name] for name in names}
    return found


def _is_known(layer: nn.Module) -> bool:
    """Whether a rule holds for it: not for a subclass that computes something else."""
    for kind in type(layer).__mro__:
        if kind in per_sample.registry:
            return kind is not object and getattr(kind, "forward", None) is type(layer).forward
    return False


def one_by_one(layer: nn.Module, inputs: tuple[Tensor, ...], gradient: Tensor, names: Collection[str]) -> Squares:
    """The squared norms of the gradients by these parameters of any module, from one sample after the other."""
    params = {name: layer.get_parameter(name).detach().requires_grad_() for name in names}
    squares: list[Tensor] = []
    for place in range(len(gradient)):
        with torch.enable_grad():
            output = functional_call(layer, params, tuple(value[place : place + 1] for value in inputs))
        here = torch.autograd.grad(
            output, list(params.values()), gradient[place : place + 1], materialize_grads=True, allow_unused=True
        )
        squares.append(torch.stack([one.square().sum() for one in here]))
    return dict(zip(names, torch.stack(squares, 1), strict=True))


@singledispatch
def per_sample(layer: nn.Module, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
    """What is known of a kind of layer, in evaluation mode; parameters left out are differentiated one by one.

    Args:
        layer: The layer.
        inputs: What it was called with, [B, ...] each.
        gradient: Of its output, [B, ...]: row b is the gradient of the loss of sample b.
    """
    return {}


@per_sample.register
def _(layer: nn.Linear, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
    weight, bias = _linear(inputs[0], gradient)
    return {"weight": weight, "bias": bias}


@per_sample.register
def _(layer: NoisyLinear, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
    weight, bias = _linear(inputs[0], gradient)
    return {"weight_mu": weight, "bias_mu": bias}


def _linear(x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    rows = gradient.reshape(len(gradient), -1, gradient.shape[-1])
    return _products(x.reshape(len(x), -1, x.shape[-1]), rows), _squares(rows.sum(1))


@per_sample.register
def _(layer: EnsembleLinear, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
    (x,) = inputs
    read = x.square().sum(-1)  # [B], or [B, members]
    each = gradient.square().sum(2)  # [B, members]
    return {"weight": (each * (read if x.dim() == 3 else read[:, None])).sum(1), "bias": each.sum(1)}


@per_sample.register(nn.Conv1d)
@per_sample.register(nn.Conv2d)
def _(layer: nn.Conv1d | nn.Conv2d, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = F.pad(inputs[0], layer._reversed_padding_repeated_twice, mode=mode)
    line = layer.weight.dim() == 3
    kernel, dilation, stride = ((1, *one) if line else one for one in (layer.kernel_size, layer.dilation, layer.stride))
    each = gradient.flatten(2)  # [B, out, pixels]
    at_a_time = layer.groups * each.shape[2] * layer.weight[0].numel() + layer.weight.numel()
    squares = []
    for part, made in zip(x.split(step := max(1, _ENTRIES // at_a_time)), each.split(step), strict=True):
        patches = F.unfold(part.unsqueeze(2) if line else part, kernel, dilation, stride=stride)
        groups = zip(patches.chunk(layer.groups, 1), made.chunk(layer.groups, 1), strict=True)
        found = [_products(read.transpose(1, 2), own.transpose(1, 2)) for read, own in groups]
        squares.append(torch.stack(found).sum(0))
    return {"weight": torch.cat(squares), "bias": _squares(each.sum(2))}


def _squares(gradients: Tensor) -> Tensor:
    return gradients.flatten(1).square().sum(1)


def _products(x: Tensor, gradient: Tensor) -> Tensor:
    """|sum_t gradient_t x_t^T|^2 [B], from x [B, T, in] and gradient [B, T, out].

    It is also sum_ts (x_t x_s) (gradient_t gradient_s), which is less to compute where T is small.
    """
    rows, reads, made = x.shape[1], x.shape[2], gradient.shape[2]
    if rows * (reads + made) < reads * made or rows == 1:
        return ((x @ x.transpose(1, 2)) * (gradient @ gradient.transpose(1, 2))).sum((1, 2))
    return _squares(gradient.transpose(1, 2) @ x)


@per_sample.register
def _(layer: nn.LayerNorm, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
    shape = layer.normalized_shape
    return _affine(F.layer_norm(inputs[0], shape, eps=layer.eps), gradient, shape)


@per_sample.register
def _(layer: ChannelNorm, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
    x = F.layer_norm(inputs[0].movedim(1, -1), layer.normalized_shape, eps=layer.eps)
    return _affine(x, gradient.movedim(1, -1), layer.normalized_shape)


@per_sample.register
def _(layer: MemberNorm, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
    x = F.layer_norm(inputs[0], (layer.units,), eps=layer.eps)
    return _affine(x, gradient, (layer.members, layer.units))


def _affine(x: Tensor, gradient: Tensor, shape: tuple[int, ...]) -> Squares:
    by_entry = (len(x), -1, *shape)
    return {
        "weight": _squares((gradient * x).reshape(by_entry).sum(1)),
        "bias": _squares(gradient.reshape(by_entry).sum(1)),
    }
