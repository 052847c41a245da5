"""Putting modules in place and drawing them anew."""

import pytest
import torch
from torch import nn

from plastic.core.errors import UsageError
from plastic.core.layers import Conv2d, EnsembleLinear, LecunNormal, Linear, NoisyLinear, Orthogonal
from plastic.core.modules import put, reinitialised


def test_put_by_path() -> None:
    model = nn.Sequential(nn.ModuleDict({"value": nn.Sequential(nn.Linear(2, 2), nn.ReLU())}))
    new = nn.Tanh()
    assert put(model, "0.value.1", new) is model
    assert model.get_submodule("0.value.1") is new
    assert isinstance(model.get_submodule("0.value.0"), nn.Linear)


def test_the_empty_path_is_the_model_itself() -> None:
    model, new = nn.Sequential(nn.Linear(1, 1)), nn.Tanh()
    assert put(model, "", new) is new
    assert list(model) == [model[0]]


@pytest.mark.parametrize("path", ["2", "0.weight", "0.x.y"])
def test_a_place_that_is_not_there_is_none_to_put_into(path: str) -> None:
    with pytest.raises(AttributeError):
        put(nn.Sequential(nn.Linear(1, 1)), path, nn.Tanh())


def test_reinitialised_draws_every_parameter_anew_and_repeats_under_a_seed() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), NoisyLinear(4, 2))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(7.0)
    torch.manual_seed(0)
    assert reinitialised(module) is module
    first = [parameter.clone() for parameter in module.parameters()]
    assert all((parameter != 7).all() for parameter in first)
    assert torch.equal(module.get_parameter("1.weight"), torch.ones(4))
    torch.manual_seed(0)
    reinitialised(module)
    assert all(torch.equal(a, b) for a, b in zip(first, module.parameters(), strict=True))


def test_reinitialised_draws_from_the_distribution_a_layer_was_made_with() -> None:
    module = nn.Sequential(
        Conv2d(2, 4, 3, init=Orthogonal(3.0)).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        Linear(6, 4, init=Orthogonal(3.0)),
        EnsembleLinear(2, 6, 4, Orthogonal(3.0)),
        Linear(400, 300, init=LecunNormal()),
    )
    before = [parameter.detach().clone() for parameter in module.parameters()]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(7.0)
    reinitialised(module)
    assert not any(part.bias.any() for part in module)  # type: ignore[operator]
    weights = [parameter.detach() for parameter in module.parameters()][::2]
    assert not any(torch.equal(a, b) for a, b in zip(weights, before[::2], strict=True))
    for weight in (weights[0].flatten(1), weights[1], *weights[2]):
        torch.testing.assert_close(weight @ weight.T, 9 * torch.eye(4), atol=1e-5, rtol=0)
    assert abs(weights[3].std() * 20 - 1) < 0.01


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))


def test_a_module_that_cannot_be_drawn_anew_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^Scale at '1' has no reset_parameters\(\) to initialise it with$"):
        reinitialised(nn.Sequential(nn.Linear(1, 1), Scale()))
