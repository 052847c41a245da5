"""Muon for the hidden matrices, the agent's own optimizer for the rest."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, overload

import torch
from attrs import define, field
from torch import Tensor, nn
from torch.optim import Optimizer

from plastic.core.errors import NothingToActOn
from plastic.core.layers import members
from plastic.core.learning.gram import gram
from plastic.core.modifier import MakeOptimizer, OptimizerModifier
from plastic.core.plugin import LIVE
from plastic.core.units.selection import selects
from plastic.core.units.unit_graph import unit_graph
from plastic.core.validators import between

_MOMENTUM = "muon_momentum"  # a name of our own: SGD's `momentum_buffer` is a mean of another kind
_STEPS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315  # Jordan's, of a x + b x^3 + c x^5 on the singular values


@define(eq=False)
class Muon(OptimizerModifier):
    """Step hidden matrices along their orthogonalised momentum (Jordan et al., 2024).

    All singular values of the step are about the same, whatever the gradient's: directions that are rarely taken count
    as much as others. They are 0.2 sqrt(max(out, in)) learning rates (Liu et al., 2025, arXiv:2502.16982, section 2.2),
    so that entries move about as far as with Adam at the same rate. There is no weight decay; `l2` is for that.

    A hidden matrix is the weight of a layer with an activation behind it: of a linear layer, of each member of an
    ensemble, of a convolution as filters by inputs, and the means of a noisy layer. Output layers, biases, norms and
    noisy deviations keep the agent's optimizer. The first layer counts as hidden: it reads states or pixels, no table.

    Attributes:
        layers: Among which layers.
        rate: Muon's learning rate, in learning rates of the agent.
        momentum: The share of itself that the momentum keeps at a step; Nesterov's.
    """

    name = "muon"
    claims = frozenset({"optimizer"})
    changes = frozenset({"optimizer state"})
    layers: str = "whole"
    rate: float = field(default=1.0, validator=between(0))
    momentum: float = field(default=0.95, validator=between(0, 1))
    _matrices: Mapping[nn.Parameter, Callable[[Tensor], list[Tensor]]] = field(
        factory=dict, init=False, metadata=LIVE
    )  # how each is taken apart in matrices

    def shown(self, model: nn.Module) -> None:
        """Find the hidden matrices."""
        layers = {units.layer: model.get_submodule(units.layer) for units in unit_graph(model)}
        self._matrices = dict(
            found
            for path, layer in layers.items()
            for name, parameter in layer.named_parameters(recurse=False)
            if selects(self.layers, f"{path}.{name}") and parameter.requires_grad
            for found in _hidden(layer, name, parameter)
        )
        if not self._matrices:
            raise NothingToActOn(f"muon: no hidden layer that is trained matches layers={self.layers}")

    def optimizer(self, make: MakeOptimizer) -> MakeOptimizer:
        """The agent's optimizer, and Muon for what it is taken from."""

        def made(parameters: Iterable[nn.Parameter]) -> Optimizer:
            return WithMuon(make(parameters), self._matrices, self.rate, self.momentum)

        return made


def _hidden(
    layer: nn.Module, name: str, parameter: nn.Parameter
) -> Iterator[tuple[nn.Parameter, Callable[[Tensor], list[Tensor]]]]:
    if name not in ("weight", "weight_mu"):
        return
    if members(layer) > 1:
        yield parameter, lambda tensor: list(tensor.unbind(0))
    elif parameter.dim() == 2:
        yield parameter, lambda tensor: [tensor]
    elif parameter.dim() > 2:
        yield parameter, _filters


def _filters(tensor: Tensor) -> list[Tensor]:
    """A convolution's weights [out, in, ...] as a matrix [out, inputs] in the same memory.

    The order of the columns is that of the memory, channels last or not: what is made of a matrix and of its columns
    in another order differs by that order alone.
    """
    if tensor.is_contiguous():
        return [tensor.flatten(1)]
    return [tensor.movedim(1, -1).view(tensor.shape[0], -1)]


class WithMuon(Optimizer):
    """An optimizer, and Muon for some of its parameters, as one: groups, state and checkpoint cover both.

    The last group is Muon's. Its `lr` is the agent's learning rate as that of the others is; `rate` comes on top at
    each step. Every matrix is stepped by itself, as a view; the momentum is the whole parameter's.
    """

    def __init__(
        self,
        rest: Optimizer,
        matrices: Mapping[nn.Parameter, Callable[[Tensor], list[Tensor]]],
        rate: float,
        momentum: float,
    ) -> None:
        self._rest = rest
        self._rate = rate
        self._apart = matrices
        for group in rest.param_groups:
            group["params"] = [parameter for parameter in group["params"] if parameter not in matrices]
        own = {"params": list(matrices), "lr": rest.param_groups[0]["lr"], "momentum": momentum}
        super().__init__([*rest.param_groups, own], {})
        self._share()
        self._settled = False

    def _share(self) -> None:
        self._rest.param_groups = self.param_groups[:-1]
        self._rest.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As of any optimizer."""
        super().load_state_dict(state_dict)
        self._share()

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One of each."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if not self._settled:
            self._settle()
        self._rest.step()
        moved = [parameter for parameter in self._apart if parameter.grad is not None]
        if moved:
            self._move(moved, self.param_groups[-1])
        return loss

    def _settle(self) -> None:
        """Drop what the other of the two remembered, of a parameter that has changed hands at a `Replace`."""
        self._settled = True
        for group in self._rest.param_groups:
            for parameter in group["params"]:
                if _MOMENTUM in self.state.get(parameter, {}):
                    del self.state[parameter]
        for parameter in self._apart:
            for key in self.state.get(parameter, {}).keys() - {_MOMENTUM}:
                del self.state[parameter][key]

    def _move(self, parameters: list[nn.Parameter], group: Mapping[str, Any]) -> None:
        for parameter in parameters:
            if _MOMENTUM not in self.state[parameter]:
                self.state[parameter][_MOMENTUM] = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        momenta = [self.state[parameter][_MOMENTUM] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
        for parameter, direction in zip(parameters, ahead, strict=True):
            apart = self._apart[parameter]
            for matrix, step in zip(apart(parameter.detach()), apart(direction), strict=True):
                length = 0.2 * max(matrix.shape) ** 0.5 * group["lr"] * self._rate
                matrix.sub_(orthogonalised(step) * length)  # a rate on the device is no alpha


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix with about the same singular vectors and singular values near 1, between 0.7 and 1.2 for most.

    Five steps of Jordan's quintic Newton-Schulz iteration, with his coefficients: in bfloat16 on a GPU, as there,
    and in the matrix's own precision elsewhere, where bfloat16 is many times slower. There, of a matrix at least twice
    as long as wide, the steps are taken on its Gram matrix and carried out on the matrix at the end: all that a step
    multiplies with is a polynomial of it, and the products are short. The two agree to rounding, which bfloat16 has
    too much of.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.bfloat16() if matrix.is_cuda else matrix
    x = x.t() if tall else x
    x = x / x.norm().clamp(min=1e-7)  # no singular value is above 1 then
    x = _by_gram(x) if x.dtype == matrix.dtype and 2 * x.shape[0] <= x.shape[1] else _directly(x)
    return (x.t() if tall else x).to(matrix.dtype)


def _directly(x: Tensor) -> Tensor:
    for _ in range(_STEPS):
        square = x @ x.t()
        x = torch.addmm(x, _polynomial(square), x, beta=_A)
    return x


def _by_gram(x: Tensor) -> Tensor:
    square, whole = gram(x), None
    for step in range(_STEPS):
        factor = _polynomial(square)
        factor.diagonal().add_(_A)
        whole = factor if whole is None else factor @ whole
        if step < _STEPS - 1:
            square = factor @ square @ factor  # of the matrix after the step, since all of them commute
    assert whole is not None
    return whole @ x


def _polynomial(square: Tensor) -> Tensor:
    return torch.addmm(square, square, square, beta=_B, alpha=_C)
