"""How many features come out of an encoder."""

import torch
from torch import nn

from plastic.core.errors import UsageError


def features_of(encoder: nn.Module, shape: tuple[int, ...]) -> int:
    """How many features the encoder gives for observations of this shape.

    Raises:
        UsageError: If such images are too small for its convolutions.
    """
    least = 1
    for layer in reversed([layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]):
        least = max(1, (least - 1) * layer.stride[0] + layer.kernel_size[0] - 2 * int(layer.padding[0]))
    if min(shape[1:], default=least) < least:
        raise UsageError(
            f"images of {shape[1]}x{shape[2]} pixels are too small for this encoder; {least}x{least} is the least"
        )
    device = next((parameter.device for parameter in encoder.parameters()), None)
    with torch.no_grad():
        return int(encoder(torch.zeros(1, *shape, device=device)).shape[1])
