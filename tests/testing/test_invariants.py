"""Every invariant is seen where it is broken."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from plastic.core.learning.learner import Learner
from plastic.testing.invariants import faults
from tests.core.stubs import Net, Widen, learner_with, noisy_net, train


def trained() -> Learner:
    """Three updates, a replaced head and a copy `target`, of a net that draws noise."""
    learner = learner_with(Widen(freeze=True), make=noisy_net)
    train(learner, 1)
    return learner


def first(learner: Learner) -> nn.Parameter:
    return learner.params["encoder.0.weight"]


def twice(learner: Learner) -> None:
    learner.optimizer.param_groups[0]["params"].append(first(learner))


def forgotten(learner: Learner) -> None:
    learner.optimizer.param_groups[0]["params"].remove(first(learner))


def foreign(learner: Learner) -> None:
    learner.optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))]})


def frozen_but_held(learner: Learner) -> None:
    first(learner).requires_grad_(False)


def thawed(learner: Learner) -> None:
    learner.model.get_parameter("head.0.0.weight_mu").requires_grad_(True)


def replaced_behind_its_back(learner: Learner) -> None:
    learner.model.get_submodule("encoder").register_module("0", nn.Linear(4, 6))


def remembered_of_nobody(learner: Learner) -> None:
    learner.optimizer.state[nn.Parameter(torch.zeros(3))] = {"exp_avg": torch.zeros(3)}


def wrong_shape(learner: Learner) -> None:
    learner.optimizer.state[first(learner)]["exp_avg"] = torch.zeros(7)


def wrong_layout(learner: Learner) -> None:
    state = learner.optimizer.state[first(learner)]
    state["exp_avg"] = state["exp_avg"].t().contiguous().t()


def gradient_left(learner: Learner) -> None:
    first(learner).grad = torch.zeros_like(first(learner))


def copy_of_another_shape(learner: Learner) -> None:
    learner.copies["target"].get_submodule("encoder").register_module("0", nn.Linear(4, 5).requires_grad_(False))


def copy_with_a_module_more(learner: Learner) -> None:
    learner.copies["target"].register_module("more", nn.ReLU())


def copy_of_another_kind(learner: Learner) -> None:
    learner.copies["target"].get_submodule("encoder").register_module("2", nn.Tanh())


def trained_copy(learner: Learner) -> None:
    learner.copies["target"].get_parameter("encoder.0.bias").requires_grad_(True)


def shared(learner: Learner) -> None:
    learner.copies["target"].get_parameter("encoder.0.bias").data = learner.params["encoder.0.bias"].data


def shared_noise(learner: Learner) -> None:
    noise = learner.model.get_submodule("head.0.0.noise")
    learner.copies["target"].get_submodule("head.0.0").register_module("noise", noise)


def weight_not_finite(learner: Learner) -> None:
    first(learner).data[0, 0] = torch.nan


def copy_not_finite(learner: Learner) -> None:
    learner.copies["target"].get_parameter("encoder.0.bias").data[0] = torch.inf


def moment_not_finite(learner: Learner) -> None:
    learner.optimizer.state[first(learner)]["exp_avg_sq"][0, 0] = torch.inf


def evaluating(learner: Learner) -> None:
    learner.copies["target"].get_submodule("encoder").eval()


def hooked(learner: Learner) -> None:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    learner.model.get_submodule("encoder").register_forward_hook(hook)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (twice, "the optimizer holds the trained parameter encoder.0.weight 2 times"),
        (forgotten, "the optimizer holds the trained parameter encoder.0.weight 0 times"),
        (foreign, "the optimizer holds 1 tensors that are no parameters of the model"),
        (frozen_but_held, "the optimizer holds the frozen parameter encoder.0.weight"),
        (thawed, "the optimizer holds the trained parameter head.0.0.weight_mu 0 times"),
        (thawed, "the learner's table of trained parameters is wrong about head.0.0.weight_mu"),
        (replaced_behind_its_back, "the optimizer holds the trained parameter encoder.0.weight 0 times"),
        (remembered_of_nobody, "the optimizer remembers a tensor of shape (3,) that is not trained"),
        (wrong_shape, "the optimizer's exp_avg of encoder.0.weight has the shape (7,)"),
        (wrong_layout, "the optimizer's exp_avg of encoder.0.weight has other strides than encoder.0.weight"),
        (gradient_left, "a gradient is left on encoder.0.weight"),
        (
            copy_of_another_shape,
            "the copy 'target' has [5, 4] torch.float32 at 'encoder.0.weight', where the model has",
        ),
        (copy_with_a_module_more, "the copy 'target' has ReLU at 'more', where the model has nothing"),
        (copy_of_another_kind, "the copy 'target' has Tanh at 'encoder.2', where the model has ReLU"),
        (trained_copy, "the parameter encoder.0.bias of the copy 'target' asks for a gradient"),
        (shared, "encoder.0.bias of the copy 'target' lies in the memory of encoder.0.bias of the model"),
        (shared_noise, "head.0.0.noise.inputs of the copy 'target' lies in the memory of head.0.0.noise.inputs of"),
        (weight_not_finite, "encoder.0.weight of the model is not finite"),
        (copy_not_finite, "encoder.0.bias of the copy 'target' is not finite"),
        (moment_not_finite, "the optimizer's exp_avg_sq of encoder.0.weight is not finite"),
        (evaluating, "encoder of the copy 'target' is in evaluation mode"),
        (hooked, "a hook is left on encoder of the model"),
    ],
)
def test_it_is_seen(broken: Callable[[Learner], None], sentence: str) -> None:
    learner = trained()
    assert faults(learner) == []
    broken(learner)
    assert any(re.match(re.escape(sentence), fault) for fault in faults(learner)), faults(learner)


def test_a_copy_of_a_part_is_compared_with_that_part() -> None:
    learner = learner_with(make=Net, target=False)
    learner.follow("encoder's", rate=0.5, path="encoder")
    assert faults(learner) == []
    learner.copies["encoder's"].register_module("2", nn.Tanh())
    assert faults(learner) == ["the copy \"encoder's\" has Tanh at '2', where the model has ReLU"]
