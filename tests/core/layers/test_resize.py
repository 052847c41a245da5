"""Layers of another width."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from plastic.core.errors import UsageError
from plastic.core.layers import (
    ChannelNorm,
    Conv2d,
    EnsembleLinear,
    LecunNormal,
    Linear,
    MemberNorm,
    NoisyLinear,
    Orthogonal,
    resized,
    width,
)


@pytest.mark.parametrize(
    ("layer", "widths"),
    [
        (nn.Linear(3, 5), (3, 5)),
        (NoisyLinear(3, 5), (3, 5)),
        (nn.Conv2d(4, 8, 3), (4, 8)),
        (nn.Conv1d(4, 8, 3), (4, 8)),
        (nn.Conv3d(4, 8, 3), (4, 8)),
        (nn.ConvTranspose2d(4, 8, 3), (4, 8)),
        (EnsembleLinear(2, 3, 5), (3, 5)),
    ],
)
def test_width(layer: nn.Module, widths: tuple[int, int]) -> None:
    assert width(layer) == widths


@pytest.mark.parametrize(
    "make",
    [
        nn.Linear,
        lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False),
        lambda inputs, outputs: NoisyLinear(inputs, outputs, 0.3),
        lambda inputs, outputs: nn.Conv2d(inputs, outputs, (3, 5), (2, 1), (1, 0), (1, 2), bias=False),
        lambda inputs, outputs: nn.Conv2d(inputs, outputs, 3, padding="same", padding_mode="circular"),
        lambda inputs, outputs: nn.Conv1d(inputs, outputs, 3, stride=2, padding=1),
        lambda inputs, outputs: nn.Conv3d(inputs, outputs, (1, 2, 3), bias=False),
        lambda inputs, outputs: Linear(inputs, outputs, init=Orthogonal(2.0)),
        lambda inputs, outputs: Linear(inputs, outputs, init=LecunNormal(), bias=False),
        lambda inputs, outputs: Conv2d(inputs, outputs, (3, 5), (2, 1), init=Orthogonal(3.0)),
        lambda inputs, outputs: EnsembleLinear(2, inputs, outputs),
        lambda inputs, outputs: EnsembleLinear(3, inputs, outputs, Orthogonal(2.0)),
    ],
)
def test_resized_is_as_if_it_had_been_made_so(make: Callable[[int, int], nn.Module]) -> None:
    torch.manual_seed(0)
    expected = make(6, 10)
    small = make(2, 4)
    torch.manual_seed(0)
    other = resized(small, 6, 10)
    assert repr(other) == repr(expected)
    assert other.state_dict().keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    assert width(small) == (2, 4)


def test_a_grouped_convolution_is_refused() -> None:
    with pytest.raises(UsageError, match="no rule for another width of a grouped convolution"):
        resized(nn.Conv2d(4, 8, 3, groups=2), 2, 2)


def test_a_transposed_convolution_is_refused() -> None:
    with pytest.raises(UsageError, match="no rule for another width of ConvTranspose2d"):
        resized(nn.ConvTranspose2d(4, 8, 3), 4, 6)


def test_an_unknown_layer_is_refused_until_it_is_registered() -> None:
    class Third(nn.Module):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.units = units

    with pytest.raises(UsageError, match=r"no rule for the width of Third; register one with width\.register"):
        width(Third(3))
    with pytest.raises(UsageError, match=r"no rule for another width of Third; register one with resized\.register"):
        resized(Third(3), 1, 2)
    width.register(Third, lambda layer: (layer.units, layer.units))
    resized.register(Third, lambda layer, inputs, outputs: Third(outputs))
    assert width(Third(3)) == (3, 3)
    assert width(resized(Third(3), 1, 2)) == (2, 2)


def test_a_resized_convolution_keeps_the_memory_layout() -> None:
    for layout in (torch.channels_last, torch.contiguous_format):
        layer = nn.Conv2d(4, 8, 3).to(memory_format=layout)  # type: ignore[call-overload]
        new = resized(layer, 4, 6)
        assert isinstance(new, nn.Conv2d)
        assert new.weight.is_contiguous(memory_format=layout)


@pytest.mark.parametrize(
    "make",
    [
        nn.LayerNorm,
        lambda units: nn.LayerNorm(units, eps=1e-3, bias=False),
        lambda units: nn.LayerNorm(units, elementwise_affine=False),
        lambda units: ChannelNorm(units, eps=1e-6),
        lambda units: MemberNorm(2, units, eps=1e-4),
        lambda units: MemberNorm(2, units, elementwise_affine=False),
    ],
)
def test_a_norm_of_another_width_is_as_if_it_had_been_made_so(make: Callable[[int], nn.Module]) -> None:
    other, expected = resized(make(4), 4, 10), make(10)
    assert type(other) is type(expected)
    assert repr(other) == repr(expected)
    assert {name: value.shape for name, value in other.state_dict().items()} == {
        name: value.shape for name, value in expected.state_dict().items()
    }
