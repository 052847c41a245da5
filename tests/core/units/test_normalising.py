"""Norms before the activations of chosen layers."""

import torch
from torch import nn

from plastic.core.units.normalising import normalise
from plastic.core.units.selection import hidden_layers
from plastic.core.units.unit_graph import unit_graph


def test_a_norm_stands_between_a_chosen_layer_and_its_activation() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    first, second, third = (model.get_submodule(path) for path in ("0", "2", "4"))
    normalise(model, hidden_layers(model, "2"), "channel", affine=False)
    assert [(units.layer, len(units.norms)) for units in unit_graph(model)] == [("0", 0), ("2", 1)]
    x = torch.randn(5, 2)
    hidden = nn.functional.layer_norm(second(first(x).relu()), (4,), eps=1e-6).relu()
    torch.testing.assert_close(model(x), third(hidden))
