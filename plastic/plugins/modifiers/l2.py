"""L2 regularisation as weight decay."""

import torch
from attrs import field, frozen
from torch import Tensor

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import Lag
from plastic.core.modifier import Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.units.selection import selects
from plastic.core.validators import between


@frozen(eq=False)
class L2(OptimizerModifier):
    """Pull the weights towards zero.

    Coupled, `strength * w` is added to the clipped gradient and passes through Adam's moments, as
    `weight_decay` of plain Adam does; it is no part of SAM's ascent. Decoupled, the weights shrink
    by `learning rate * strength` beside the step (Loshchilov and Hutter, 2019, arXiv:1711.05101);
    after it here, before it in PyTorch's AdamW, a difference of second order in the learning rate.

    Attributes:
        strength: The paper's grid on Atari is 1e-3, 1e-4, 1e-5.
        decoupled: Which of the two.
        layers: The part of the network that decays; biases and noisy deviations count.
    """

    name = "l2"
    claims = frozenset({"weight decay"})
    changes = frozenset({"gradients", "parameters"})
    stage = "decay"
    strength: float = field(default=1e-4, validator=between(0))
    decoupled: bool = False
    layers: str = "whole"

    def start(self, params: Parameters, lag: Lag) -> None:
        """Refuse layers in which nothing is trained."""
        if not any(selects(self.layers, name) for name in params):
            raise NothingToActOn(f"l2: no trained parameter matches layers={self.layers}")

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        """g + strength * w."""
        losses, gradients = evaluate()
        if self.decoupled:
            return losses, gradients
        names = [name for name in params if selects(self.layers, name)]
        with torch.no_grad():
            torch._foreach_add_(
                [gradients[name] for name in names],
                [params[name].detach() for name in names],
                alpha=self.strength,
            )
        return losses, gradients

    def after_step(self, params: Parameters, lr: float | Tensor) -> None:
        """w <- (1 - lr * strength) w."""
        if self.decoupled:
            torch._foreach_mul_([w for name, w in params.items() if selects(self.layers, name)], 1 - lr * self.strength)
