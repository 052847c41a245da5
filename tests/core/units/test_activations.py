"""The values behind activations, and the features, in networks of every shape that comes up."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from plastic.agents.rainbow.networks import Head, Network, image_encoder, noisy
from plastic.core.units.activations import activations, features
from plastic.core.units.unit_graph import trainable, unit_graph
from tests.core.layers.critics import Critic, member, pair


def three_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))


def test_activations_are_the_values_behind_each_hidden_layer() -> None:
    model = Network(image_encoder("nature", 2), Head(64, 16, 3, 5, noisy(0.5), dueling=True), 1.0).eval()
    inputs = torch.rand(6, 2, 36, 36)
    values = activations(model, (inputs,))
    assert [units.layer for units in values] == [units.layer for units in unit_graph(model)]
    by_layer = {units.layer: value for units, value in values.items()}
    assert by_layer["encoder.0"].shape == (6, 32, 8, 8)
    assert torch.equal(by_layer["encoder.0"], model.encoder.get_submodule("0")(inputs).relu())
    features = by_layer["encoder.4"].flatten(1)
    assert torch.equal(by_layer["head.value.0"], model.head.get_submodule("value.0")(features).relu())
    assert not any(value.requires_grad for value in by_layer.values())
    assert not any(module._forward_hooks for module in model.modules())


def test_the_values_behind_an_ensemble_are_those_of_its_members_side_by_side() -> None:
    torch.manual_seed(0)
    model, inputs = Critic(members=3), pair()
    values = {units.layer: value for units, value in activations(model, inputs).items()}
    assert list(values) == ["encoder.1", "encoder.3", "trunk.0", "head.0", "head.2"]
    assert values["encoder.3"].shape == (16, 8, 4, 4)
    assert values["head.2"].shape == (16, 18)
    for number in range(3):
        alone = activations(member(deepcopy(model), number), inputs)
        for units, value in alone.items():
            own = values[units.layer]
            own = own[:, 6 * number : 6 * number + 6] if units.layer.startswith("head") else own
            torch.testing.assert_close(own, value)


def test_hooks_are_gone_after_an_error() -> None:
    model = three_layers()
    with pytest.raises(RuntimeError):
        activations(model, (torch.zeros(2, 3),))
    assert not any(module._forward_hooks for module in model.modules())


def test_what_no_longer_learns_is_left_out_of_the_values() -> None:
    model = three_layers()
    model[2].requires_grad_(False)
    assert {units.layer: trainable(model, units) for units in unit_graph(model)} == {"0": True, "2": False}
    assert [units.layer for units in activations(model, (torch.zeros(2, 2),))] == ["0"]


def test_features_are_what_the_last_hidden_layer_of_each_part_gives() -> None:
    model = Network(image_encoder("nature", 2), Head(64, 16, 3, 5, noisy(0.5), dueling=True), 1.0).eval()
    inputs = (torch.rand(6, 2, 36, 36),)
    values = {units.layer: value for units, value in activations(model, inputs).items()}
    found = features(model, inputs)
    assert found.keys() == {"encoder", "head.value", "head.advantage"}
    assert torch.equal(found["encoder"], values["encoder.4"].flatten(1))
    assert torch.equal(found["head.value"], values["head.value.0"])


def test_each_member_of_an_ensemble_has_features_of_its_own() -> None:
    model, inputs = Critic(members=2), pair()
    last = {units.layer: value for units, value in activations(model, inputs).items()}["head.2"]
    found = features(model, inputs)
    assert list(found) == ["encoder", "trunk", "head.member0", "head.member1"]
    assert torch.equal(torch.cat((found["head.member0"], found["head.member1"]), 1), last)
