"""Copies that follow."""

import pytest
import torch
from torch import nn

from plastic.core.layers import draw_noise
from plastic.core.layers.noisy import noises
from plastic.core.learning.lagged_copy import LaggedCopy
from tests.core.stubs import Net, exact, noisy_net, norm_net


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def shift(model: nn.Module, by: float = 1.0) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by)


def test_it_starts_equal_in_memory_of_its_own() -> None:
    model = Net()
    copy = LaggedCopy(model, rate=0.1, period=1)
    assert exact(copy.module.state_dict()) == exact(model.state_dict())
    own = {parameter.data_ptr() for parameter in copy.module.parameters()}
    assert own.isdisjoint({parameter.data_ptr() for parameter in model.parameters()})
    assert not any(parameter.requires_grad for parameter in copy.module.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_it_moves_a_fraction_of_the_way() -> None:
    model = Net()
    copy = LaggedCopy(model, rate=0.25, period=1)
    expected = [parameter.detach().clone() for parameter in copy.module.parameters()]
    for update in range(1, 5):
        shift(model, update)
        copy.follow(due=copy.due(update))
        expected = [e + 0.25 * (p.detach() - e) for e, p in zip(expected, model.parameters(), strict=True)]
        for own, value in zip(copy.module.parameters(), expected, strict=True):
            torch.testing.assert_close(own, value)


def test_a_hard_copy_is_made_every_period() -> None:
    model = Net()
    copy = LaggedCopy(model, rate=1, period=3)
    start = exact(copy.module.state_dict())
    for update in range(1, 7):
        shift(model)
        copy.follow(due=copy.due(update))
        now = exact(copy.module.state_dict())
        if update in (3, 6):
            assert now == exact(model.state_dict())
            start = now
        else:
            assert now == start


def test_a_copy_of_rate_0_is_left_alone() -> None:
    model = Net()
    copy = LaggedCopy(model, rate=0, period=1)
    before = exact(copy.module.state_dict())
    shift(model)
    copy.follow(due=copy.due(1))
    assert exact(copy.module.state_dict()) == before


def test_a_part_is_followed_by_its_path() -> None:
    model = Net()
    copy = LaggedCopy(model, rate=1, period=1, path="encoder")
    assert list(copy.module.state_dict()) == ["0.weight", "0.bias"]
    shift(model)
    copy.follow(due=copy.due(1))
    assert exact(copy.module.state_dict()) == exact(model.encoder.state_dict())
    assert copy.name("encoder.0.weight") == "0.weight"
    assert copy.name("encoder") == ""
    assert copy.name("encoder2.0.weight") is None
    assert copy.name("head.0.weight") is None
    assert LaggedCopy(model, rate=1, period=1).name("head.0.weight") == "head.0.weight"


@pytest.mark.parametrize(("rate", "period"), [(0.5, 1), (1, 10), (0, 1)])
def test_buffers_are_copied_whatever_the_rate(rate: float, period: int) -> None:
    model = norm_net()
    copy = LaggedCopy(model, rate=rate, period=period)
    model(torch.randn(8, 4))
    copy.follow(due=copy.due(1))
    statistics = copy.module.get_submodule("encoder.1").state_dict()
    assert statistics["num_batches_tracked"] == 1
    assert torch.equal(statistics["running_mean"], model.get_buffer("encoder.1.running_mean"))


def test_noise_belongs_to_each() -> None:
    model = noisy_net()
    copy = LaggedCopy(model, rate=1, period=1)
    for seed, one in enumerate((model, copy.module)):
        buffers = [buffer for sample in noises(one) for buffer in sample.buffers()]
        draw_noise(buffers, torch.Generator().manual_seed(seed))
    own = exact(dict(copy.module.named_buffers()))
    shift(model)
    copy.follow(due=copy.due(1))
    assert exact(dict(copy.module.named_buffers())) == own
    assert exact(dict(model.named_buffers())) != own
    assert exact(dict(copy.module.named_parameters())) == exact(dict(model.named_parameters()))


def test_frozen_parameters_follow_like_any() -> None:
    model = Net()
    model.head[0].requires_grad_(False)
    copy = LaggedCopy(model, rate=1, period=1)
    shift(model)
    copy.follow(due=copy.due(1))
    assert exact(copy.module.state_dict()) == exact(model.state_dict())


def test_equal_values_stay_equal_bit_for_bit() -> None:
    model = Net()
    copy = LaggedCopy(model, rate=0.01, period=1)
    for update in range(1, 20):
        copy.follow(due=copy.due(update))
    assert exact(copy.module.state_dict()) == exact(model.state_dict())


def test_index_takes_in_a_changed_structure() -> None:
    model = Net()
    copy, own = LaggedCopy(model, rate=1, period=1), LaggedCopy(model, rate=0, period=1)
    for one in (model, copy.module, own.module):
        one.get_submodule("encoder").add_module("new", nn.Linear(6, 6))
    with torch.no_grad():
        model.get_parameter("head.0.weight").fill_(2)
    model.head[0].requires_grad_(False)
    copy.index(model)
    own.index(model)
    assert not any(parameter.requires_grad for parameter in copy.module.parameters())
    # what is no longer trained nobody will write in a copy of rate 0
    assert torch.equal(own.module.get_parameter("head.0.weight"), torch.full((5, 6), 2.0))
    shift(model)
    copy.follow(due=copy.due(1))
    assert exact(copy.module.state_dict()) == exact(model.state_dict())
