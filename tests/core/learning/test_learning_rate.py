"""The learning rate on the host, or on the device."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from plastic.core.learning.learning_rate import load, rates_on_host, read_from_device, set_rate

CPU = torch.device("cpu")
MAKERS = [partial(torch.optim.Adam, fused=True), partial(torch.optim.SGD, fused=True)]


def _optimizer(make: Any, rate: float = 0.25) -> tuple[torch.optim.Optimizer, torch.nn.Parameter]:
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.tensor([1.0, 2.0, 3.0])
    return make([weight], lr=rate), weight


@pytest.mark.parametrize("make", MAKERS)
def test_read_from_the_device_a_step_is_the_same_and_follows_the_tensor(make: Any) -> None:
    (optimizer, weight), (plain, expected) = _optimizer(make), _optimizer(make)
    read_from_device(optimizer, CPU)
    rate = optimizer.param_groups[0]["lr"]
    assert isinstance(rate, Tensor)
    assert rates_on_host(optimizer) == ()
    for value in (0.25, 0.5):
        set_rate(optimizer, value)
        set_rate(plain, value)
        optimizer.step()
        plain.step()
        assert torch.equal(weight, expected)
    assert optimizer.param_groups[0]["lr"] is rate  # where a recorded step reads it


def test_what_cannot_read_it_keeps_a_number() -> None:
    optimizer, _ = _optimizer(torch.optim.SGD)
    read_from_device(optimizer, CPU)
    assert rates_on_host(optimizer) == (0.25,)
    set_rate(optimizer, 0.5)
    assert rates_on_host(optimizer) == (0.5,)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("then", [False, True], ids=["of a number", "of a tensor"])
def test_a_state_is_taken_up_wherever_its_optimizer_read(make: Any, then: bool) -> None:
    (first, weight), (second, other) = _optimizer(make), _optimizer(make, rate=0.125)
    read_from_device(first if then else second, CPU)
    rates = (0.5, 0.25)
    set_rate(first, rates[0])
    first.step()
    state = first.state_dict()
    load(second, state)
    with torch.no_grad():
        other.copy_(weight)
    assert isinstance(second.param_groups[0]["lr"], Tensor) is not then
    assert float(second.param_groups[0]["lr"]) == rates[0]
    for rate in rates:
        for optimizer in (first, second):
            set_rate(optimizer, rate)
            optimizer.step()
        assert torch.equal(weight, other)


def test_a_state_brings_no_capturable_along_and_takes_none_away() -> None:
    captured, plain = (
        torch.optim.Adam([torch.nn.Parameter(torch.ones(3))], capturable=capturable) for capturable in (True, False)
    )
    for optimizer, other in ((captured, plain), (plain, captured)):
        kept = optimizer.param_groups[0]["capturable"]
        load(optimizer, other.state_dict())
        assert optimizer.param_groups[0]["capturable"] is kept
