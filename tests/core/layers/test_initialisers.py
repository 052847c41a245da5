"""The distributions that weights start from."""

import math
import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn

from plastic.core.layers import FanInUniform, Initialiser, LecunNormal, Orthogonal

ALL = [Orthogonal(1.5), LecunNormal(), FanInUniform()]


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 2, 3, 3), (30, 2, 3, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    weight, bias = torch.empty(shape), torch.ones(shape[0])
    Orthogonal(1.5)(weight, bias)
    matrix = weight.flatten(1)
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    torch.testing.assert_close(short @ short.T, 2.25 * torch.eye(len(short)), atol=1e-5, rtol=0)
    assert not bias.any()


@pytest.mark.parametrize("shape", [(300, 400), (300, 16, 5, 5)])
def test_lecun_normal_has_the_variance_of_the_fan_in_and_is_cut(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight, bias = torch.empty(shape), torch.ones(300)
    LecunNormal()(weight, bias)
    deviation = 1 / 20  # a fan-in of 400
    assert abs(weight.std() / deviation - 1) < 0.01
    assert abs(weight.mean()) < 0.01 * deviation
    cut = 2 * deviation / 0.87962566
    assert 0.98 * cut < weight.abs().max() <= cut
    assert not bias.any()


def test_the_deviation_of_a_cut_normal() -> None:
    """Var = 1 - 2 * 2 * phi(2) / (Phi(2) - Phi(-2))."""
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    variance = 1 - 4 * density / math.erf(2 / math.sqrt(2))
    torch.manual_seed(0)
    weight = torch.empty(1, 1)  # a fan-in of 1
    LecunNormal()(weight, None)
    torch.manual_seed(0)
    expected = torch.empty(1, 1)
    deviation = 1 / math.sqrt(variance)
    nn.init.trunc_normal_(expected, std=deviation, a=-2 * deviation, b=2 * deviation)
    assert weight.item() == pytest.approx(expected.item(), rel=1e-6)


def test_fan_in_uniform_draws_what_torch_draws() -> None:
    for layer in (lambda: nn.Linear(7, 3), lambda: nn.Conv2d(4, 3, 5)):
        torch.manual_seed(0)
        expected = layer()
        weight, bias = torch.empty_like(expected.weight), torch.empty(3)
        torch.manual_seed(0)
        FanInUniform()(weight, bias)
        assert torch.equal(weight, expected.weight)
        assert torch.equal(bias, expected.bias)  # type: ignore[arg-type]


@pytest.mark.parametrize("init", ALL)
def test_a_layer_without_a_bias_and_one_in_channels_last_memory(init: Initialiser) -> None:
    weight = torch.zeros(8, 3, 3, 3).to(memory_format=torch.channels_last)
    init(weight, None)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert (weight != 0).all()


@pytest.mark.parametrize("init", ALL)
def test_they_are_values_that_can_be_copied_compared_and_stored(init: Initialiser) -> None:
    assert deepcopy(init) == init
    assert pickle.loads(pickle.dumps(init)) == init
    assert len({init, deepcopy(init)}) == 1
    with pytest.raises(AttributeError):
        init.gain = 2.0  # type: ignore[attr-defined]
