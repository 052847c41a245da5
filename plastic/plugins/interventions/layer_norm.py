"""Layer normalisation of every hidden layer."""

from typing import Literal

from attrs import frozen
from torch import nn

from plastic.core.errors import UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import ChannelNorm, width
from plastic.core.modules import put
from plastic.core.selection import selects
from plastic.core.unit_graph import unit_graph


@frozen(eq=False)
class LayerNorm(PlasticityIntervention):
    """Normalise between each hidden layer and its activation (Ba et al., 2016, arXiv:1607.06450).

    Never after an output layer. With CReLU the pre-activation is normalised, at the layer's own width.

    Attributes:
        layers: Which layers, by the layer's path; the paper's baseline has all, PLASTIC the encoder's.
        axes: For convolutions: `channel` normalises each pixel over its channels, as PLASTIC's code
            does; `image` normalises over channels and pixels together.
        affine: Whether a scale and a shift are learned.
    """

    name = "layer_norm"
    claims = frozenset({"normalisation"})
    changes = frozenset({"structure"})
    stage = "normalisation"
    layers: str = "whole"
    axes: Literal["channel", "image"] = "channel"
    affine: bool = True

    def build(self, model: nn.Module) -> nn.Module:
        """Put a norm before the activation of each selected layer."""
        selected = [units for units in unit_graph(model) if selects(self.layers, units.layer)]
        if not selected:
            raise UsageError(f"layer_norm: no hidden layer matches layers={self.layers}")
        for units in selected:
            activation = model.get_submodule(units.activation)
            norm = self._norm(model.get_submodule(units.layer))
            put(model, units.activation, nn.Sequential(norm, activation))
        return model

    def _norm(self, layer: nn.Module) -> nn.Module:
        _, outputs = width(layer)
        if not isinstance(layer, nn.Conv2d):
            return nn.LayerNorm(outputs, eps=1e-6, elementwise_affine=self.affine)
        if self.axes == "image":
            return nn.GroupNorm(1, outputs, affine=self.affine)
        return ChannelNorm(outputs, eps=1e-6, elementwise_affine=self.affine)
