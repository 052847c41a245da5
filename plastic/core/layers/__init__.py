"""The layers that the unit graph knows beside PyTorch's own."""

from plastic.core.layers.channel_norm import ChannelNorm
from plastic.core.layers.crelu import CReLU
from plastic.core.layers.noisy import FactorisedNoise, NoisyLinear, draw_noise, silenced
from plastic.core.layers.resize import resized, width
from plastic.core.layers.scale_gradient import ScaleGradient

__all__ = [
    "CReLU",
    "ChannelNorm",
    "FactorisedNoise",
    "NoisyLinear",
    "ScaleGradient",
    "draw_noise",
    "resized",
    "silenced",
    "width",
]
