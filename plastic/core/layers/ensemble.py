"""Linear layers of several networks that are evaluated together."""

import torch
from torch import Tensor, nn

from plastic.core.layers.initialisers import FanInUniform, Initialiser


class EnsembleLinear(nn.Module):
    """One linear layer for each member of an ensemble, y_e = W_e x_e + b_e, such as those of twin critics.

    In memory the outputs lie member by member with the batch last, [members, out, B]; activations keep
    that, so that nothing is copied on the way to the next layer, and every gradient comes out in its
    parameter's layout. Two members of 23-256-256-1 take no more time than two networks in a row.

    Args:
        members: How many.
        in_features: Width of the input of one member.
        out_features: Width of the output of one member.
        init: How each member starts, by itself; what torch.nn.Linear does unless another is given.
    """

    def __init__(self, members: int, in_features: int, out_features: int, init: Initialiser | None = None) -> None:
        super().__init__()
        self.members = members
        self.in_features = in_features
        self.out_features = out_features
        self.init: Initialiser = FanInUniform() if init is None else init
        self.weight = nn.Parameter(torch.empty(members, out_features, in_features))
        self.bias = nn.Parameter(torch.empty(members, out_features))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the members anew, one after the other."""
        for weight, bias in zip(self.weight, self.bias, strict=True):
            self.init(weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in], read by all members, or [B, members, in], each its own -> [B, members, out]."""
        columns = x.t().expand(self.members, -1, -1) if x.dim() == 2 else x.permute(1, 2, 0)
        return torch.baddbmm(self.bias.unsqueeze(2), self.weight, columns).permute(2, 0, 1)

    def extra_repr(self) -> str:
        """As PyTorch's linear layers print themselves."""
        return (
            f"members={self.members}, in_features={self.in_features}, out_features={self.out_features}, "
            f"init={self.init}"
        )
