"""The layers that the unit graph knows beside PyTorch's own."""

from plastic.core.layers.activations import can_be_off, expansion
from plastic.core.layers.channel_norm import ChannelNorm
from plastic.core.layers.crelu import CReLU
from plastic.core.layers.dropout import Dropout
from plastic.core.layers.ensemble import EnsembleLinear
from plastic.core.layers.entries import Entries, columns, norm_rows, one_number, rows
from plastic.core.layers.half_turn import HalfTurn
from plastic.core.layers.initialised import Conv2d, Linear
from plastic.core.layers.initialisers import FanInUniform, Initialiser, LecunNormal, Orthogonal
from plastic.core.layers.member_norm import MemberNorm
from plastic.core.layers.noisy import FactorisedNoise, NoisyLinear, draw_noise, silenced, statistics
from plastic.core.layers.norms import NormAxes, norm_for
from plastic.core.layers.resize import resized, width
from plastic.core.layers.scale_gradient import ScaleGradient, unscaled
from plastic.core.layers.spectral_norm import SpectralNorm, matrices, spectrally_normalised
from plastic.core.layers.stored import stored
from plastic.core.layers.unit_mask import UnitMask
from plastic.core.layers.units import by_member, by_unit, members, unit_axis

__all__ = [
    "CReLU",
    "ChannelNorm",
    "Conv2d",
    "Dropout",
    "EnsembleLinear",
    "Entries",
    "FactorisedNoise",
    "FanInUniform",
    "HalfTurn",
    "Initialiser",
    "LecunNormal",
    "Linear",
    "MemberNorm",
    "NoisyLinear",
    "NormAxes",
    "Orthogonal",
    "ScaleGradient",
    "SpectralNorm",
    "UnitMask",
    "by_member",
    "by_unit",
    "can_be_off",
    "columns",
    "draw_noise",
    "expansion",
    "matrices",
    "members",
    "norm_for",
    "norm_rows",
    "one_number",
    "resized",
    "rows",
    "silenced",
    "spectrally_normalised",
    "statistics",
    "stored",
    "unit_axis",
    "unscaled",
    "width",
]
