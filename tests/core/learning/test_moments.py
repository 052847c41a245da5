"""Clearing what optimizers remember."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from plastic.core.learning.moments import clear_moments, clear_step


def stepped(kind: Callable[..., Optimizer], **options: Any) -> tuple[Optimizer, list[nn.Parameter]]:
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(2)), nn.Parameter(torch.randn(()))]
    optimizer = kind(parameters, lr=0.01, **options)
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    return optimizer, parameters


def moments(optimizer: Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    return {key: value for key, value in optimizer.state[parameter].items() if key != "step"}


@pytest.mark.parametrize(
    ("kind", "options", "keys"),
    [
        (Adam, {}, {"exp_avg", "exp_avg_sq"}),
        (Adam, {"fused": True}, {"exp_avg", "exp_avg_sq"}),
        (Adam, {"amsgrad": True}, {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}),
        (AdamW, {}, {"exp_avg", "exp_avg_sq"}),
        (RMSprop, {"momentum": 0.9}, {"square_avg", "momentum_buffer"}),
        (SGD, {"momentum": 0.9}, {"momentum_buffer"}),
    ],
)
def test_all_of_one_parameter_in_place(kind: Callable[..., Optimizer], options: dict[str, Any], keys: set[str]) -> None:
    optimizer, parameters = stepped(kind, **options)
    before = {id(p): {k: v.clone() for k, v in moments(optimizer, p).items()} for p in parameters}
    pointers = [value.data_ptr() for value in moments(optimizer, parameters[0]).values()]
    step = optimizer.state[parameters[0]].get("step")
    clear_moments(optimizer, parameters[0])
    assert moments(optimizer, parameters[0]).keys() == keys
    assert all(not value.any() for value in moments(optimizer, parameters[0]).values())
    assert [value.data_ptr() for value in moments(optimizer, parameters[0]).values()] == pointers
    assert optimizer.state[parameters[0]].get("step") is step
    for other in parameters[1:]:
        assert all(torch.equal(value, before[id(other)][key]) for key, value in moments(optimizer, other).items())


def test_a_part_of_one() -> None:
    optimizer, (weight, *_) = stepped(Adam)
    before = {key: value.clone() for key, value in moments(optimizer, weight).items()}
    where = torch.tensor([[True, False], [False, False], [True, True]])
    clear_moments(optimizer, weight, where=where)
    for key, value in moments(optimizer, weight).items():
        assert torch.equal(value, before[key] * ~where)
        assert before[key].all()


@pytest.mark.parametrize("fused", [False, True])
def test_the_step_count_alone(fused: bool) -> None:
    optimizer, (weight, bias, _) = stepped(Adam, fused=fused)
    step = optimizer.state[weight]["step"]
    before = moments(optimizer, weight)["exp_avg"].clone()
    clear_step(optimizer, weight)
    assert optimizer.state[weight]["step"] is step
    assert step.item() == 0
    assert optimizer.state[bias]["step"].item() == 3
    assert torch.equal(moments(optimizer, weight)["exp_avg"], before)


def test_a_scalar_parameter_keeps_its_step_count_when_its_moments_go() -> None:
    optimizer, (*_, scalar) = stepped(Adam)
    clear_moments(optimizer, scalar)
    assert optimizer.state[scalar]["step"].item() == 3
    assert not optimizer.state[scalar]["exp_avg"].any()


def test_a_step_count_that_is_a_number() -> None:
    optimizer, (weight, *_) = stepped(Adam)
    optimizer.state[weight]["step"] = 3
    clear_step(optimizer, weight)
    assert optimizer.state[weight]["step"] == 0


def test_nothing_is_remembered_of_what_was_never_stepped() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = Adam([weight])
    clear_moments(optimizer, weight)
    clear_step(optimizer, weight)
    assert len(optimizer.state) == 0
