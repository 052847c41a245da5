"""Which norm goes behind which layer."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.layers import ChannelNorm, EnsembleLinear, MemberNorm, NoisyLinear, norm_for, width


@pytest.mark.parametrize("axes", ["channel", "image"])
@pytest.mark.parametrize("affine", [True, False])
def test_by_kind(axes: Literal["channel", "image"], affine: bool) -> None:
    for layer in (nn.Linear(3, 6), NoisyLinear(3, 6)):
        norm = norm_for(layer, axes, affine=affine)
        assert type(norm) is nn.LayerNorm
        assert (norm.normalized_shape, norm.eps, norm.weight is not None) == ((6,), 1e-6, affine)
    ensemble = norm_for(EnsembleLinear(2, 3, 6), axes, affine=affine)
    assert type(ensemble) is MemberNorm
    assert (ensemble.members, ensemble.units, ensemble.eps, ensemble.weight is not None) == (2, 6, 1e-6, affine)
    for convolution in (nn.Conv1d(3, 6, 1), nn.Conv2d(3, 6, 1), nn.Conv3d(3, 6, 1), nn.ConvTranspose2d(3, 6, 1)):
        norm = norm_for(convolution, axes, affine=affine)
        assert type(norm) is (ChannelNorm if axes == "channel" else nn.GroupNorm)
        assert (norm.weight is not None) == affine


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, x), 1)


def test_a_layer_of_ones_own_gets_a_layer_norm_or_what_it_registers() -> None:
    with pytest.raises(UsageError, match="no rule for the width of Doubled"):
        norm_for(Doubled(), "channel", affine=True)
    width.register(Doubled, lambda layer: (2, 4))
    assert type(norm_for(Doubled(), "channel", affine=True)) is nn.LayerNorm
    norm_for.register(Doubled, lambda layer, axes, *, affine: nn.RMSNorm(4))
    assert type(norm_for(Doubled(), "channel", affine=True)) is nn.RMSNorm
