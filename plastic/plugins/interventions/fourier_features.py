"""Deep Fourier features in place of ReLU."""

import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import can_be_off, expansion, unit_axis
from plastic.core.units.activating import Style, rectified, widen
from plastic.core.units.known_modules import is_activation


class Fourier(nn.Module):
    """[sin x, cos x], concatenated on the axis of the units.

    Args:
        axis: Where the units are.
    """

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """[B, d, ...] -> [B, 2 d, ...]."""
        return torch.cat((x.sin(), x.cos()), self.axis)

    def extra_repr(self) -> str:
        """As PyTorch's modules print themselves."""
        return f"axis={self.axis}"


is_activation.register(Fourier, lambda module: True)
expansion.register(Fourier, lambda module: 2)
can_be_off.register(Fourier, lambda module: False)


@frozen(eq=False)
class FourierFeatures(PlasticityIntervention):
    """[sin x, cos x]: where one half is flat the other is steepest (Lewandowski et al., 2025, arXiv:2410.20634).

    So no unit saturates, and near every pre-activation one of the two is close to linear. Other activations than ReLU
    stay as they are.

    Attributes:
        layers: Which layers' activations, by the layer's path; the paper has it in all.
        style: What becomes of the doubled width: `output` halves the layer itself, so that what follows keeps its
            size; `input` doubles what follows.
    """

    name = "fourier_features"
    claims = frozenset({"activation"})
    changes = frozenset({"structure"})
    stage = "activation"
    layers: str = "whole"
    style: Style = "output"

    def build(self, model: nn.Module) -> nn.Module:
        """Replace each selected ReLU, and the layers whose width that changes."""
        for units in rectified(model, self.layers, self.name):
            axis = unit_axis(model.get_submodule(units.layer))
            widen(model, units, Fourier(axis), self.style, self.name)
        return model
