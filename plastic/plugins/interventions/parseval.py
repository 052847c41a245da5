"""Parseval regularisation."""

import torch
from attrs import define, field
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.layers import matrices
from plastic.core.options import between
from plastic.core.plugin import LIVE
from plastic.core.selection import selects
from plastic.core.unit_graph import trainable, unit_graph


@define(eq=False)
class Parseval(PlasticityIntervention):
    """Keep weight matrices near to orthogonal: + strength sum |W W' - s I|_F^2 (Chung et al., 2024, arXiv:2412.07224).

    Of hidden linear layers: of noisy ones the means, of an ensemble each member, of convolutions and output layers
    none. Rows of a matrix with more rows than columns cannot all be at right angles; then the columns are asked to
    be, |W' W - s I|. That has the same gradient, since the two differ by a constant, and is the smaller product.

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
        self._paths = tuple(
            units.layer
            for units in unit_graph(model)
            if selects(self.layers, units.layer)
            and trainable(model, units)
            and not isinstance(model.get_submodule(units.layer), _ConvNd)
        )
        if not self._paths:
            raise NothingToActOn(f"parseval: no hidden linear layer that learns matches layers={self.layers}")

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Strength times the squared distances of all Gram matrices from s I."""
        apart = [self._apart(matrices(model.get_submodule(path))) for path in self._paths]
        total: Tensor = torch.stack(torch._foreach_norm(apart)).square().sum()
        return self.strength * total

    def _apart(self, matrix: Tensor) -> Tensor:
        """[members, units, inputs] -> [members, k, k], k the lesser of units and inputs."""
        turned = matrix.mT
        gram = matrix @ turned if matrix.shape[1] <= matrix.shape[2] else turned @ matrix
        return gram - self.s * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
