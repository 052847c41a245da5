"""L2 Init, also called regenerative regularisation."""

from collections.abc import Mapping
from typing import Any

import torch
from attrs import define, field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.plugin import LIVE
from plastic.core.units.known_modules import NORMS
from plastic.core.units.selection import selects
from plastic.core.validators import between


@define(eq=False)
class L2Init(PlasticityIntervention):
    """Pull the weights towards where they began (Kumar et al., 2023, arXiv:2308.11958): + strength |theta - theta_0|^2.

    A part of the loss, so it is clipped with the gradient and is part of both of SAM's passes. Scales and shifts of
    norms are left out, as in the official code; biases and noisy deviations count.

    What is drawn anew begins anew: after a reset or an injection the new weights are pulled to the new draw. Shrink
    and perturb shrinks and perturbs the origin, too, so that no perturbation is pulled back.

    Attributes:
        strength: 1e-2 in Ma et al. (2024, arXiv:2310.07418), who have it on the critic alone.
        half: Half of it, as the official code has it.
        layers: The part of the network that is pulled.
    """

    name = "l2_init"
    changes = frozenset({"gradients"})
    reach = "main"
    strength: float = field(default=1e-2, validator=between(0))
    half: bool = False
    layers: str = "whole"
    _origin: Mapping[str, Tensor] = field(factory=dict, init=False, metadata=LIVE)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Keep where the weights began; refuse layers in which nothing is trained but norms."""
        norms = {path for path, module in model.named_modules() if isinstance(module, NORMS)}
        self._origin = {
            name: value
            for name, value in lag("l2_init").items()
            if selects(self.layers, name) and name.rpartition(".")[0] not in norms
        }
        if not self._origin:
            raise NothingToActOn(f"l2_init: no trained parameter beside those of norms matches layers={self.layers}")

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Strength times the squared distance to the origin."""
        weights = dict(model.named_parameters())
        squared: Tensor = _Apart.apply(*(weights[name] for name in self._origin), *self._origin.values())  # type: ignore[no-untyped-call]
        return (0.5 * self.strength if self.half else self.strength) * squared


class _Apart(torch.autograd.Function):
    """The squared distance between two lists of tensors, weights and then as many origins.

    Its gradient by the weights, twice the difference, is made in the memory of the difference: by itself autograd takes
    a third list of the weights' size.
    """

    @staticmethod
    def forward(ctx: Any, *both: Tensor) -> Tensor:
        weights, origin = both[: len(both) // 2], both[len(both) // 2 :]
        apart = torch._foreach_sub(weights, origin)
        ctx.save_for_backward(*apart)
        return torch.stack(torch._foreach_norm(apart)).square().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        apart = ctx.saved_tensors
        torch._foreach_mul_(apart, 2 * gradients[0])
        return (*apart, *(None for _ in apart))
