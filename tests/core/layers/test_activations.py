"""What there is to know of an activation."""

import pytest
from torch import nn

from plastic.core.layers import CReLU, can_be_off, expansion


@pytest.mark.parametrize(("activation", "times"), [(nn.ReLU(), 1), (nn.Tanh(), 1), (CReLU(), 2)])
def test_how_many_numbers_come_of_a_unit(activation: nn.Module, times: int) -> None:
    assert expansion(activation) == times


@pytest.mark.parametrize("kind", [nn.ReLU, CReLU, nn.ELU])
def test_what_can_be_off(kind: type[nn.Module]) -> None:
    assert can_be_off(kind())


@pytest.mark.parametrize("kind", [nn.Tanh, nn.Sigmoid, nn.Softplus])
def test_what_is_never_off(kind: type[nn.Module]) -> None:
    assert not can_be_off(kind())
