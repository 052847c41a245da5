"""Concatenated ReLU (Shang et al., 2016, arXiv:1603.05201)."""

import torch
from torch import Tensor, nn


class CReLU(nn.Module):
    """[ReLU(x), ReLU(-x)], concatenated on the first axis after the batch: channels or features."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, d, ...] -> [B, 2 d, ...]."""
        return torch.cat((x, -x), 1).relu_()
