"""Weight clipping."""

from math import prod

from attrs import field, frozen
from torch import Tensor

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import Lag
from plastic.core.modifier import OptimizerModifier, Parameters
from plastic.core.units.selection import selects
from plastic.core.validators import between


@frozen(eq=False)
class WeightClipping(OptimizerModifier):
    """Cut each weight to [-kappa s, kappa s] after every step (Elsayed et al., 2024, arXiv:2407.01704, algorithm 1).

    s is the bound of the layer's initialisation, 1 / sqrt(fan in), for its weights and its biases. What has no
    fan-in, the scale and shift of a norm, is left alone.

    Attributes:
        kappa: The bound, in bounds of the initialisation; the paper tries 1 to 5.
        layers: The part of the network that is clipped.
    """

    name = "weight_clipping"
    changes = frozenset({"parameters"})
    stage = "decay"
    kappa: float = field(default=2.0, validator=between(0, above=True))
    layers: str = "whole"

    def start(self, params: Parameters, lag: Lag) -> None:
        """Refuse layers in which there is nothing to clip."""
        if not self._bounds(params):
            raise NothingToActOn(f"weight_clipping: no weights of a layer match layers={self.layers}")

    def after_step(self, params: Parameters, lr: float | Tensor) -> None:
        """w <- min(max(w, -kappa s), kappa s)."""
        for name, bound in self._bounds(params).items():
            params[name].clamp_(-bound, bound)

    def _bounds(self, params: Parameters) -> dict[str, float]:
        """kappa / sqrt(fan in) by parameter, of the layers whose weight is a matrix or a kernel."""
        found = {}
        for name in params:
            path, dot, last = name.rpartition(".")
            weight = params.get(f"{path}{dot}{last.replace('bias', 'weight')}")
            bias = params.get(f"{path}{dot}{last.replace('weight', 'bias')}")
            if weight is not None and weight.dim() > 1 and selects(self.layers, name):
                # a bias has one number a unit, [out], or [members, out] in an ensemble: the rest is what a unit reads
                units = 1 if bias is None else bias.dim()
                found[name] = self.kappa / prod(weight.shape[units:]) ** 0.5
        return found
