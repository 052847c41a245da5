"""Layer normalisation of images over their channels alone."""

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel, [B, C, ...] (as ConvNeXt and PLASTIC have it)."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> [B, C, ...]; the two moves cost nothing in channels-last memory."""
        y = F.layer_norm(x.movedim(1, -1), self.normalized_shape, self.weight, self.bias, self.eps)
        return y.movedim(-1, 1)
