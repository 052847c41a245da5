"""What wires mark of a network, and sums over it: by hand, and as what the readers get."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from plastic.core.layers import CReLU, Entries, NoisyLinear
from plastic.core.units.wires import folded, marked, mean_size, passed_on
from plastic.core.units.wiring import wiring
from tests.core.layers.critics import Critic, pair
from tests.core.wired import VECTORS, made, outputs


def test_what_is_nobodys_is_never_marked() -> None:
    entries = Entries("weight", torch.tensor([[0, -1], [1, 0]]), "weight")
    assert marked(entries, torch.tensor([True, False])).tolist() == [[True, False], [False, True]]
    assert not marked(entries, torch.tensor([False, False])).any()


def test_columns_of_a_unit_are_folded_into_samples() -> None:
    (wires,) = wiring(nn.Sequential(nn.Linear(4, 2), CReLU(), nn.Linear(4, 1)), VECTORS)
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    assert sorted(folded(wires, values).T.tolist()) == [[1.0, 5.0, 3.0, 7.0], [2.0, 6.0, 4.0, 8.0]]


def test_mean_sizes_by_hand() -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), NoisyLinear(2, 2))
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.tensor([[-2.0], [1.0]]))
        model.get_parameter("2.weight_mu").copy_(torch.tensor([[1.0, -4.0], [-3.0, 6.0]]))
    (wires,) = wiring(model, (torch.rand(2, 1),))
    assert mean_size(model.get_parameter, wires.incoming, 2).tolist() == [2.0, 1.0]
    assert mean_size(model.get_parameter, wires.outgoing, 2).tolist() == [2.0, 5.0]  # of the means alone


def test_what_is_nobodys_is_in_no_mean() -> None:
    torch.manual_seed(0)
    model = Critic()
    wires = wiring(model, pair(), "trunk")[0]
    weight = model.get_parameter("head.0.weight").detach()
    torch.testing.assert_close(mean_size(model.get_parameter, wires.outgoing, 5), weight.abs().mean((0, 1))[:5])


def test_what_constant_values_pass_on_by_hand() -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), NoisyLinear(2, 2))
    with torch.no_grad():
        model.get_parameter("2.weight_mu").copy_(torch.tensor([[1.0, -4.0], [-3.0, 6.0]]))
    (wires,) = wiring(model, (torch.rand(2, 1),))
    assert {name: value.tolist() for name, value in passed_on(model, wires, torch.tensor([2.0, 0.5])).items()} == {
        "2.bias_mu": [0.0, -3.0]
    }


@pytest.mark.parametrize("name", ["plain", "rainbow", "rainbow, crelu doubles the readers", "twin critics"])
def test_what_constant_values_pass_on_is_what_the_readers_get(name: str) -> None:
    model, inputs, found = made(name)
    for wires in found:
        if name == "twin critics" and wires.units.layer.startswith("encoder"):
            continue  # the next convolution pads
        given: dict[str, Tensor] = {}

        def keep(path: str) -> Callable[..., None]:
            def hook(module: nn.Module, arguments: object, output: Tensor) -> None:
                given[path] = output.detach()  # noqa: B023

            return hook

        changed = deepcopy(model)
        for path in set(wires.read_by):
            changed.get_submodule(path).register_forward_hook(keep(path))
        nobody, everybody = torch.zeros(wires.count, dtype=torch.bool), torch.ones(wires.count, dtype=torch.bool)
        outputs(changed, inputs, wires, nobody)
        before = dict(given)
        given.clear()
        outputs(changed, inputs, wires, everybody)  # 3 more, in every column
        shifts = passed_on(model, wires, torch.full((wires.unit_of.numel(),), 3.0))
        for path in set(wires.read_by):
            own = next(value for bias, value in shifts.items() if bias.startswith(f"{path}."))
            more = given[path] - before[path]
            own = own.view(*own.shape, *(1 for _ in more.shape[own.dim() + 1 :]))
            torch.testing.assert_close(more, own.expand_as(more), atol=1e-3, rtol=1e-3)
