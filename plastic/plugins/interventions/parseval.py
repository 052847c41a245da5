"""Parseval regularisation."""

from typing import Any

import torch
from attrs import define, field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.conv import _ConvNd

from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.layers import matrices
from plastic.core.learning.gram import gram
from plastic.core.plugin import LIVE
from plastic.core.units.selection import hidden_layers
from plastic.core.units.unit_graph import Units, trainable
from plastic.core.validators import between


@define(eq=False)
class Parseval(PlasticityIntervention):
    """Keep weight matrices near to orthogonal: + strength sum |W W' - s I|_F^2 (Chung et al., 2024, arXiv:2412.07224).

    Of hidden linear layers: of noisy ones the means, of an ensemble each member, of convolutions and output layers
    none. Rows of a matrix with more rows than columns cannot all be at right angles; then the columns are asked to
    be, |W' W - s I|. That has the same gradient, since the two differ by a constant, and is the smaller product.
    The gradient, 4 (W W' - s I) W, is written down: by itself autograd makes two products of it, one for each W.

    Attributes:
        strength: 1e-3 in the paper.
        s: The squared length that rows are asked to have; 1 in the paper.
        layers: Which hidden layers, by the layer's path.
    """

    name = "parseval"
    changes = frozenset({"gradients"})
    strength: float = field(default=1e-3, validator=between(0))
    s: float = field(default=1.0, validator=between(0, above=True))
    layers: str = "whole"
    _paths: tuple[str, ...] = field(default=(), init=False, metadata=LIVE)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Find the layers that learn; refuse if there are none."""

        def fits(units: Units) -> bool:
            return trainable(model, units) and not isinstance(model.get_submodule(units.layer), _ConvNd)

        what = "hidden linear layer that learns"
        found = hidden_layers(model, self.layers, self.name, what=what, fits=fits)
        self._paths = tuple(units.layer for units in found)

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Strength times the squared distances of all Gram matrices from s I."""
        apart = [_Apart.apply(matrices(model.get_submodule(path)), self.s) for path in self._paths]  # type: ignore[no-untyped-call]
        total: Tensor = torch.stack(apart).sum()
        return self.strength * total


class _Apart(torch.autograd.Function):
    """|M M' - s I|_F^2 of matrices M [members, k, n], summed; M' M where k is more than n."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, s: float) -> Tensor:
        units, inputs = matrix.shape[1:]
        ctx.tall = units > inputs
        apart = gram(matrix.mT if ctx.tall else matrix)
        apart.diagonal(dim1=1, dim2=2).sub_(s)
        ctx.save_for_backward(matrix, apart)
        distance: Tensor = torch.linalg.vector_norm(apart).square()
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        matrix, apart = ctx.saved_tensors
        apart = apart * (4 * gradients[0])
        return (matrix @ apart if ctx.tall else apart @ matrix), None
