"""Other activations in the place of ReLU."""

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers import expansion
from plastic.core.layers.resize import width
from plastic.core.units.activating import rectified, widen
from plastic.core.units.known_modules import is_activation
from plastic.core.units.unit_graph import unit_graph


class Thrice(nn.Module):
    """Three numbers a unit."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, -x, x.abs()), 1)


is_activation.register(Thrice, lambda module: True)
expansion.register(Thrice, lambda module: 3)


def make(hidden: int = 6) -> nn.Module:
    return nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 2))


@pytest.mark.parametrize(("style", "expected"), [("output", [(4, 2), (6, 6)]), ("input", [(4, 6), (18, 6)])])
def test_an_activation_of_ones_own_that_gives_three_numbers(style: str, expected: list[tuple[int, int]]) -> None:
    model = make()
    (units,) = rectified(model, "whole", "mine")
    widen(model, units, Thrice(), style, "mine")  # type: ignore[arg-type]
    assert [width(model.get_submodule(path)) for path in ("0", "2")] == expected
    assert model(torch.ones(5, 4)).shape == (5, 2)
    assert [units.activation for units in unit_graph(model)] == ["1", "3"]


def test_what_does_not_fit_is_refused_by_the_plugins_name() -> None:
    model = make(7)
    (units,) = rectified(model, "whole", "mine")
    with pytest.raises(UsageError, match="mine: 0 has 7 units, which cannot be divided by 3; use style=input"):
        widen(model, units, Thrice(), "output", "mine")
    with pytest.raises(NothingToActOn, match="mine replaces ReLU, and the hidden layers of layers=2 have Tanh"):
        rectified(model, "2", "mine")
    with pytest.raises(NothingToActOn, match="mine: no hidden layer matches layers=head"):
        rectified(model, "head", "mine")
