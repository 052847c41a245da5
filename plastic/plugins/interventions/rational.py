"""Learned rational activations in place of ReLU."""

from functools import reduce

import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import can_be_off, members
from plastic.core.modules import put
from plastic.core.units.activating import rectified
from plastic.core.units.known_modules import is_activation

# a leaky ReLU of slope 0.01, fitted between -3 and 3 (the official code's numbers): a_0 to a_5, b_1 to b_4
_START = (
    *(0.02979278, 0.61837353, 2.32330906, 3.05193624, 1.48542033, 0.25102450),
    *(-1.14195484, 4.39315997, 0.87147123, 0.34719662),
)


class Rational(nn.Module):
    """(a_0 + a_1 x + ... + a_5 x^5) / (1 + |b_1 x| + ... + |b_4 x^4|), coefficients learned.

    Args:
        members: How many layers are evaluated together; each has coefficients of its own.
    """

    def __init__(self, members: int = 1) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.empty(members, len(_START)))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Put the coefficients back to a leaky ReLU."""
        self.coefficients.copy_(torch.tensor(_START))

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...], or of several members [B, members, units] -> the same."""
        several = len(self.coefficients) > 1
        c = [(column.unsqueeze(1) if several else column) for column in self.coefficients.unbind(1)]
        size = x.abs()
        above = reduce(lambda sum_, a: torch.addcmul(a, sum_, x), reversed(c[:5]), c[5])
        below = reduce(lambda sum_, b: torch.addcmul(b.abs(), sum_, size), reversed(c[6:9]), c[9].abs())
        return above / torch.addcmul(torch.ones_like(c[0]), below, size)


is_activation.register(Rational, lambda module: True)
can_be_off.register(Rational, lambda module: False)


@frozen(eq=False)
class RationalActivation(PlasticityIntervention):
    """A learned activation P(x) / Q(x) of degrees 5 and 4 (Molina et al., 2020, arXiv:1907.06732, version A).

    Ten coefficients a layer, and for each member of an ensemble, which begin as a leaky ReLU and are trained with the
    network. In reinforcement learning: Delfosse et al. (2024, arXiv:2102.09407). Other activations than ReLU stay as
    they are.

    Attributes:
        layers: Which layers' activations, by the layer's path.
    """

    name = "rational"
    claims = frozenset({"activation"})
    changes = frozenset({"structure"})
    stage = "activation"
    layers: str = "whole"

    def build(self, model: nn.Module) -> nn.Module:
        """Replace each selected ReLU."""
        for units in rectified(model, self.layers, self.name):
            put(model, units.activation, Rational(members(model.get_submodule(units.layer))))
        return model
