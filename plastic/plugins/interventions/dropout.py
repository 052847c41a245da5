"""Dropout behind hidden layers."""

from typing import Any

from attrs import Attribute, field, frozen
from torch import nn

from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import Dropout as Mask
from plastic.core.modules import put
from plastic.core.units.selection import hidden_layers


def _probability(instance: object, attribute: "Attribute[Any]", value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{attribute.name} must be at least 0 and below 1, not {value:g}")


@frozen(eq=False)
class Dropout(PlasticityIntervention):
    """Drop outputs of hidden layers at random, as DroQ does in its critics (Hiraoka et al., 2022, arXiv:2110.02034).

    A mask stands between the layer and its norm: Linear, Dropout, LayerNorm, ReLU. It is drawn in every update, for
    the loss and for the bootstrap target, where the target network drops, too; each member of an ensemble has its
    own. Acting and probes see the whole network. Masks are noise: a second pass of SAM has those of the first unless
    it redraws noise.

    Attributes:
        p: How likely an entry is dropped; the others are scaled by 1 / (1 - p). Of a convolution each pixel.
        layers: Which hidden layers, by the layer's path.
    """

    name = "dropout"
    changes = frozenset({"structure"})
    reach = "main"
    p: float = field(default=0.01, validator=_probability)
    layers: str = "head"

    def build(self, model: nn.Module) -> nn.Module:
        """Put a mask behind each selected layer, before its norm."""
        for units in hidden_layers(model, self.layers, self.name):
            behind = (*units.norms, units.activation)[0]
            put(model, behind, nn.Sequential(Mask(self.p), model.get_submodule(behind)))
        return model
