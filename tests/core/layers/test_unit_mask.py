"""A mask of units, wherever a layer has them."""

import pytest
import torch
from torch import nn

from plastic.core.layers import EnsembleLinear, UnitMask, unit_axis, width
from plastic.core.units.unit_graph import unit_graph


@pytest.mark.parametrize("layer", [nn.Linear(2, 3), nn.Conv2d(2, 3, 1), nn.Conv1d(2, 3, 1)])
def test_it_cuts_a_unit_or_a_channel(layer: nn.Module) -> None:
    mask = UnitMask(layer)
    x = torch.rand(4, 3, *(5,) * (getattr(layer, "weight").dim() - 2))  # noqa: B009
    assert torch.equal(mask(x), x)
    mask.kept[1] = 0
    expected = x.clone()
    expected[:, 1] = 0
    assert torch.equal(mask(x), expected)


def test_it_cuts_a_member_of_an_ensembles_unit() -> None:
    layer = EnsembleLinear(2, 2, 3)
    mask = UnitMask(layer)
    x = layer(torch.rand(4, 2))
    mask.kept[4] = 0
    expected = x.clone()
    expected[:, 1, 1] = 0
    assert torch.equal(mask(x), expected)
    assert mask(x).stride() == x.stride()  # the batch lies last, and nothing is copied on the way


def test_units_on_another_axis() -> None:
    class Last(nn.Module):
        pass

    width.register(Last, lambda layer: (1, 3))
    unit_axis.register(Last, lambda layer: -1)
    mask = UnitMask(Last())
    mask.kept[2] = 0
    assert mask(torch.ones(1, 2, 3)).tolist() == [[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]]


def test_the_unit_graph_sees_through_it_and_it_has_no_parameters() -> None:
    layer = nn.Linear(2, 3)
    model = nn.Sequential(layer, nn.Sequential(UnitMask(layer), nn.ReLU()), nn.Linear(3, 1))
    (units,) = unit_graph(model)
    assert (units.layer, units.norms, units.activation, units.readers) == ("0", (), "1.1", ("2",))
    assert not list(UnitMask(layer).parameters())
