"""TRAC, a parameter-free tuner around the agent's optimizer."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from attrs import Attribute, define, field
from torch import Tensor

from plastic.core.intervention import Lag
from plastic.core.modifier import Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.plugin import LIVE
from plastic.core.validators import between

_HALF_STEP = 0.25  # of the sum in `erfi`; what is left out is below e^-39 of it
_LARGEST = 8.0  # argument of erfi: 4e26 there, when the weights are long lost
_NODES = int((_LARGEST + 6) / _HALF_STEP)
_ERFI_ROOT_HALF = (
    0.9534382692512611  # erfi(1 / sqrt(2)); at the first step that helps sigma is the root of the variance
)


def _discounts(instance: object, attribute: "Attribute[Any]", value: tuple[float, ...]) -> None:
    if not value or not all(0 < discount <= 1 for discount in value):
        raise ValueError(f"discounts must be numbers above 0 and at most 1, not {value!r}")


def _empty() -> Tensor:
    return torch.zeros(0)


@define(eq=False)
class TRAC(OptimizerModifier):
    """Go on along the optimizer's way from the start only as far as it pays (Muppidi et al., 2024, arXiv:2405.16642).

    The optimizer's own iterate, base, is kept apart, and the weights are reference + S (base - reference). At each
    update, with the gradient g at the weights and h = <g, base - reference>, each discount beta counts

        variance <- beta^2 variance + h^2,  sigma <- beta sigma - h,
        s = initial erfi(sigma / (sqrt(2 variance) + eps)) / erfi(1 / sqrt(2)),

    and S is the sum of the s, at least 0. So S grows while gradients agree that the way was right, and shrinks back
    towards the reference where they do not; the learning rate only sets how fast base moves.

    Constants, formulas and the cut at 0 are those of the released code (ComputationalRobotics/TRAC). That keeps no base
    and divides the displacement of the weights by S + eps; so there the way is lost where S comes to 0, and here it
    goes on. Its sigma starts at 1e-8, ours at 0: its first step is some 1e-7 of the optimizer's, ours nothing.

    Whatever edits the weights edits reference and base in the same way, so that after a reset its layers start from
    their fresh values. A decoupled decay counts as part of the optimizer's step.

    Attributes:
        discounts: Of the tuners, whose scales are added up; the paper's six.
        initial: Scale of each tuner at its first step that helps, the paper's.
        eps: Beside the root of the variance.
    """

    name = "trac"
    claims = frozenset({"weights after a step"})
    changes = frozenset({"parameters"})
    stage = "weights"
    discounts: tuple[float, ...] = field(default=(0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999), validator=_discounts)
    initial: float = field(default=1e-8, validator=between(0, above=True))
    eps: float = field(default=1e-8, validator=between(0, above=True))
    sigma: Tensor = field(factory=_empty, init=False)  # [discounts], and in double precision, as all three
    variance: Tensor = field(factory=_empty, init=False)  # [discounts]
    scale: Tensor = field(factory=_empty, init=False)  # S
    _reference: Mapping[str, Tensor] = field(factory=dict, init=False, metadata=LIVE)
    _base: Mapping[str, Tensor] = field(factory=dict, init=False, metadata=LIVE)
    _betas: Tensor = field(factory=_empty, init=False, metadata=LIVE)
    # between gradient and step
    _way: list[Tensor] = field(factory=list, init=False, metadata=LIVE)  # base - reference
    _slope: Tensor = field(factory=_empty, init=False, metadata=LIVE)  # h

    def start(self, params: Parameters, lag: Lag) -> None:
        """At first the weights are reference and base."""
        self._reference, self._base = lag("trac_reference"), lag("trac_base")
        if not self._betas.numel():
            device = next(iter(params.values())).device
            self._betas = torch.tensor(self.discounts, dtype=torch.float64, device=device)
            self.sigma, self.variance = torch.zeros_like(self._betas), torch.zeros_like(self._betas)
            self.scale = torch.zeros((), dtype=torch.float64, device=device)

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        """As they are; what they say of the way so far is kept for after the step."""
        losses, gradients = evaluate()
        with torch.no_grad():
            self._way = self._displacement()
            products = torch._foreach_mul(self._way, [gradients[name] for name in self._base])
            self._slope = torch.stack([product.sum() for product in products]).sum().double()
        return losses, gradients

    def after_step(self, params: Parameters, lr: float | Tensor) -> None:
        """Base moves as the weights just did, and the weights go where S puts them."""
        weights, base = [params[name] for name in self._base], list(self._base.values())
        before = self._placed(self._way)
        torch._foreach_add_(base, torch._foreach_sub(weights, before))
        self.scale.copy_(self._tuned(self._slope))
        torch._foreach_copy_(weights, self._placed(self._displacement()))
        self._way = []

    def _displacement(self) -> list[Tensor]:
        return list(torch._foreach_sub(list(self._base.values()), list(self._reference.values())))

    def _placed(self, way: list[Tensor]) -> list[Tensor]:
        """Reference + S way, in the memory of `way`."""
        torch._foreach_mul_(way, self.scale.to(way[0].dtype))
        torch._foreach_add_(way, list(self._reference.values()))
        return way

    def _tuned(self, slope: Tensor) -> Tensor:
        """S after one more h."""
        self.variance.mul_(self._betas.square()).add_(slope.square())
        self.sigma.mul_(self._betas).sub_(slope)
        each = erfi(self.sigma / ((2 * self.variance).sqrt() + self.eps))
        return (each.sum() * (self.initial / _ERFI_ROOT_HALF)).clamp(min=0)


def erfi(x: Tensor) -> Tensor:
    """2 / sqrt(pi) times the integral of exp(t^2) from 0 to x, in double precision; x is cut to [-8, 8].

    PyTorch has no erfi. With exp(t^2) as a mean of exp(2 u t) over a Gaussian u, it is 2 / pi times the integral of
    exp(-u^2) sinh(2 u x) / u over positive u. Here that is the sum over the odd multiples of a quarter (Rybicki, 1989,
    has it for Dawson's integral): all terms have one sign, and it converges faster than any power of the step.

    >>> float(erfi(torch.tensor(1.0))), float(erfi(torch.tensor(0.0)))
    (1.6504257587975..., 0.0)
    """
    x = x.double().clamp(-_LARGEST, _LARGEST)
    n = torch.arange(1, _NODES + 1, 2, dtype=torch.float64, device=x.device)
    u = n * _HALF_STEP
    return (4 / math.pi) * ((-u.square()).exp() * (2 * x.unsqueeze(-1) * u).sinh() / n).sum(-1)
