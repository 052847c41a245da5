"""Units that are cut out."""

import torch
from torch import Tensor, nn

from plastic.core.layers.resize import width
from plastic.core.layers.units import members, unit_axis


class UnitMask(nn.Module):
    """x where a unit is kept and 0 where it is cut; stands between a layer and its activation.

    What is kept lies in a buffer: nothing that redraws or decays parameters brings a unit back, and copies follow.

    Args:
        layer: Whose units; all are kept at first.
    """

    kept: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.members = members(layer)
        self.axis = unit_axis(layer)
        self.register_buffer("kept", torch.ones(self.members * width(layer)[1]))

    def forward(self, x: Tensor) -> Tensor:
        """What comes out of the layer, or of a norm behind it, of any shape."""
        if self.members > 1:
            return x * self.kept.view(self.members, -1, *(1,) * (x.dim() - 3))
        return x * self.kept.view(-1, *(1,) * (x.dim() - 1 - self.axis % x.dim()))

    def extra_repr(self) -> str:
        """As PyTorch's modules print themselves."""
        return f"{self.kept.numel()}"
