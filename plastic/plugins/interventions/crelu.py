"""CReLU in place of ReLU."""

from attrs import frozen
from torch import nn

from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import CReLU, unit_axis
from plastic.core.units.activating import Style, rectified, widen


@frozen(eq=False)
class ConcatenatedReLU(PlasticityIntervention):
    """[ReLU(x), ReLU(-x)]: a unit that is off in one half is on in the other (Abbas et al., 2023, arXiv:2303.07507).

    Half of the entries behind it are active by construction; never compare them with ReLU's. Other
    activations than ReLU stay as they are.

    Attributes:
        layers: Which layers' activations, by the layer's path; PLASTIC has it in the head.
        style: What becomes of the doubled width: `output` halves the layer itself, so that what
            follows keeps its size; `input` doubles what follows.
    """

    name = "crelu"
    claims = frozenset({"activation"})
    changes = frozenset({"structure"})
    stage = "activation"
    layers: str = "whole"
    style: Style = "output"

    def build(self, model: nn.Module) -> nn.Module:
        """Replace each selected ReLU, and the layers whose width that changes."""
        for units in rectified(model, self.layers, self.name):
            axis = unit_axis(model.get_submodule(units.layer))
            widen(model, units, CReLU(axis), self.style, self.name)
        return model
