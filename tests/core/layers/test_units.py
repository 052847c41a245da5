"""Where units are, and whose."""

import pytest
import torch
from torch import nn

from plastic.core.layers import EnsembleLinear, NoisyLinear, by_member, by_unit, members, unit_axis


@pytest.mark.parametrize("layer", [nn.Linear(2, 3), nn.Conv2d(2, 3, 1), NoisyLinear(2, 3)])
def test_a_layer_has_its_units_behind_the_batch(layer: nn.Module) -> None:
    assert (members(layer), unit_axis(layer)) == (1, 1)
    values = torch.rand(4, 3, 5, 5)
    assert torch.equal(by_unit(layer, values), values)
    (own,) = by_member(layer, values)
    assert torch.equal(own, values)


def test_an_ensembles_units_are_its_members_one_after_the_other() -> None:
    layer = EnsembleLinear(3, 2, 5)
    assert (members(layer), unit_axis(layer)) == (3, -1)
    values = torch.rand(4, 3, 5)
    flat = by_unit(layer, values)
    assert torch.equal(flat, torch.cat((values[:, 0], values[:, 1], values[:, 2]), 1))
    for number, own in enumerate(by_member(layer, flat)):
        assert torch.equal(own, values[:, number])


def test_another_axis_can_be_registered() -> None:
    class Last(nn.Module):
        """Channels come last."""

    unit_axis.register(Last, lambda layer: -1)
    values = torch.rand(4, 5, 6, 3)
    assert torch.equal(by_unit(Last(), values), values.permute(0, 3, 1, 2))
