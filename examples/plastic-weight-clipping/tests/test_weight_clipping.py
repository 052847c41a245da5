"""The paper's rule by hand, and the common law."""

import torch
from plastic_weight_clipping import WeightClipping

from plastic.testing import check_plugin


def test_each_weight_is_cut_to_its_layers_bound() -> None:
    params = {
        "0.weight": torch.tensor([[3.0, -0.2, 0.9, -9.0]]),  # fan-in 4: s = 1/2
        "0.bias": torch.tensor([-2.0]),
        "1.weight": torch.tensor([7.0]),  # of a norm
    }
    WeightClipping(kappa=1.5).after_step(params, lr=0.1)
    assert params["0.weight"].tolist() == [[0.75, torch.tensor(-0.2).item(), 0.75, -0.75]]
    assert params["0.bias"].tolist() == [-0.75]
    assert params["1.weight"].tolist() == [7.0]


def test_members_of_an_ensemble_are_layers_of_their_own() -> None:
    params = {"weight": torch.full((2, 3, 4), 5.0), "bias": torch.full((2, 3), 5.0)}
    WeightClipping(kappa=1.0).after_step(params, lr=0.1)
    assert params["weight"].max().item() == params["bias"].max().item() == 0.5


def test_it_is_sound() -> None:
    assert check_plugin(WeightClipping(kappa=0.5), on=("plain",), beside=("sam",)).faults == []
