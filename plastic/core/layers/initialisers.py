"""How weights and biases start; a layer that carries one of these can be drawn anew from the right distribution."""

import math
from typing import Protocol

import torch
from attrs import frozen
from torch import Tensor, nn


class Initialiser(Protocol):
    """Draws the weight [units, inputs, *kernel] of one layer, and its bias [units] if it has one, in place."""

    def __call__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Fill both from torch's global stream of random numbers."""
        ...


@frozen
class Orthogonal:
    """Rows (or columns, if there are fewer) of length `gain`, at right angles (Saxe et al., 2014, arXiv:1312.6120).

    A convolution's kernel is taken as the matrix [units, inputs x pixels]. Biases are 0.
    """

    gain: float = 1.0

    @torch.no_grad()
    def __call__(self, weight: Tensor, bias: Tensor | None) -> None:
        """As torch.nn.init.orthogonal_, which cannot fill a channels-last tensor."""
        weight.copy_(nn.init.orthogonal_(torch.empty(weight.shape, device=weight.device), self.gain))
        _clear(bias)


# of a standard normal that is cut at -2 and 2: Flax divides by it, so that what is left has the variance asked for
_CUT_DEVIATION = 0.87962566103423978


@frozen
class LecunNormal:
    """A normal of variance 1 / fan-in (LeCun et al., 1998), cut at two deviations as Flax has it. Biases are 0."""

    @torch.no_grad()
    def __call__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Fan-in: the inputs, times a kernel's pixels."""
        deviation = 1 / math.sqrt(weight[0].numel()) / _CUT_DEVIATION
        nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        _clear(bias)


@frozen
class FanInUniform:
    """Uniform within +-1 / sqrt(fan-in), biases too: what torch.nn.Linear and Conv2d do by themselves."""

    @torch.no_grad()
    def __call__(self, weight: Tensor, bias: Tensor | None) -> None:
        """The very numbers that torch's layers draw."""
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        if bias is not None:
            bound = 1 / math.sqrt(weight[0].numel())
            nn.init.uniform_(bias, -bound, bound)


def _clear(bias: Tensor | None) -> None:
    if bias is not None:
        bias.zero_()
