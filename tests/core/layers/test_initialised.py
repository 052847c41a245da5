"""PyTorch's layers with another start."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn

from plastic.core.layers import Conv2d, Initialiser, LecunNormal, Linear, Orthogonal


class Filled:
    """An initialiser one can recognise."""

    def __call__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        nn.init.constant_(weight, 3.0)
        if bias is not None:
            nn.init.constant_(bias, 4.0)


def linear(init: Initialiser, **more: bool) -> Linear:
    return Linear(5, 3, init=init, **more)


def convolution(init: Initialiser, **more: bool) -> Conv2d:
    return Conv2d(5, 3, (3, 5), stride=2, padding=1, init=init, **more)


BOTH = pytest.mark.parametrize("make", [linear, convolution])


@BOTH
def test_init_fills_weight_and_bias_at_first_and_when_drawn_anew(make: Callable[..., Linear | Conv2d]) -> None:
    layer = make(Filled())
    for _ in range(2):
        assert (layer.weight == 3).all()
        assert layer.bias is not None
        assert (layer.bias == 4).all()
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.zero_()
        deepcopy(layer).reset_parameters()
        assert not layer.weight.any()
        layer.reset_parameters()
    assert make(Filled(), bias=False).bias is None


@BOTH
def test_beside_that_they_are_torchs_layers(make: Callable[..., Linear | Conv2d]) -> None:
    layer = make(LecunNormal())
    plain = nn.Linear(5, 3) if isinstance(layer, Linear) else nn.Conv2d(5, 3, (3, 5), stride=2, padding=1)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 5) if isinstance(layer, Linear) else torch.randn(2, 5, 9, 9)
    assert torch.equal(layer(x), plain(x))


@BOTH
def test_they_print_their_start(make: Callable[..., Linear | Conv2d]) -> None:
    assert repr(make(Orthogonal(2.0))).endswith(", init=Orthogonal(gain=2.0))")
