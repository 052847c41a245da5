"""What is known of modules by their class, and what of a kind of one's own is asked for."""

import pytest
import torch
from torch import Tensor, nn

from plastic.core.layers import CReLU, EnsembleLinear, NoisyLinear, width
from plastic.core.units.known_modules import is_activation, is_layer, may_activate


class Wave(nn.Module):
    """An activation of one's own."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.GELU(), nn.SiLU(), nn.PReLU(), nn.Hardswish(), nn.Softsign(), CReLU()],
)
def test_activations_of_torch_and_the_cores_are_known(activation: nn.Module) -> None:
    assert is_activation(activation)
    assert not may_activate(activation)


@pytest.mark.parametrize("other", [nn.Linear(2, 3), nn.LayerNorm(3), nn.MaxPool1d(1), nn.Softmax(1)])
def test_other_modules_of_torch_are_no_activations_and_no_riddle(other: nn.Module) -> None:
    assert not is_activation(other)
    assert not may_activate(other)


def test_a_module_of_ones_own_may_be_an_activation_until_it_is_registered_as_one_or_not() -> None:
    class Mine(Wave):
        pass

    class NotMine(Wave):
        pass

    assert may_activate(Mine())
    assert not is_activation(Mine())
    is_activation.register(Mine, lambda module: True)
    is_activation.register(NotMine, lambda module: False)
    assert [is_activation(Mine()), is_activation(NotMine()), is_activation(Wave())] == [True, False, False]
    assert [may_activate(Mine()), may_activate(NotMine()), may_activate(Wave())] == [False, False, True]


def test_what_has_parameters_or_holds_an_activation_is_none_that_nobody_knows() -> None:
    class Scaled(Wave):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

    class Wrapped(Wave):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.ReLU()

    assert not may_activate(Scaled())
    assert not may_activate(Wrapped())


def test_layers_are_what_has_a_width() -> None:
    class Masked(nn.Module):
        pass

    assert all(is_layer(layer) for layer in (nn.Linear(2, 3), nn.Conv1d(2, 3, 1), NoisyLinear(2, 3)))
    assert is_layer(EnsembleLinear(2, 2, 3))
    assert not any(is_layer(other) for other in (nn.ReLU(), nn.LayerNorm(3), nn.Sequential(nn.Linear(2, 3)), Masked()))
    width.register(Masked, lambda layer: (2, 3))
    assert is_layer(Masked())
