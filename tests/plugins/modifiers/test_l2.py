"""L2: coupled it is Adam's weight decay, decoupled the shrinking beside the step."""

from functools import partial

import pytest
import torch
from torch import Tensor

from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.recipes.options import build
from plastic.core.schedule import At
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.modifiers.l2 import L2
from tests.plugins.learners import batch, changed, moments, parameters, rainbow, train

ADAM = partial(torch.optim.Adam, lr=1e-2, eps=1.5e-4)


@pytest.mark.parametrize("strength", [1e-5, 1e-3, 0.5])
def test_coupled_it_is_adam_with_weight_decay(strength: float) -> None:
    ours = rainbow(L2(strength=strength), optimizer=ADAM, max_grad_norm=0.1)
    reference = rainbow(optimizer=partial(ADAM, weight_decay=strength), max_grad_norm=0.1)
    for one, other in zip(train(ours, 8), train(reference, 8), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    expected = parameters(reference.model)
    for name, weights in parameters(ours.model).items():
        torch.testing.assert_close(weights, expected[name], rtol=1e-6, atol=1e-7)


def test_that_comparison_can_fail() -> None:
    ours, reference = rainbow(L2(strength=1e-3), optimizer=ADAM), rainbow(optimizer=ADAM)
    train(ours, 8)
    train(reference, 8)
    assert not torch.allclose(ours.params["encoder.0.weight"], reference.params["encoder.0.weight"], atol=1e-4)


def test_coupled_it_is_added_behind_the_clip_and_goes_through_the_moments() -> None:
    learner = rainbow(L2(strength=10.0), optimizer=ADAM, max_grad_norm=1e-6)
    before = parameters(learner.model)
    learner.update(batch())
    for name, weights in before.items():
        first_moment = moments(learner, name)["exp_avg"]
        torch.testing.assert_close(first_moment, 0.1 * 10.0 * weights, rtol=1e-4, atol=1e-6)


def test_decoupled_the_stepped_weights_shrink_by_learning_rate_times_strength() -> None:
    ours, plain = rainbow(L2(strength=0.5, decoupled=True), optimizer=ADAM), rainbow(optimizer=ADAM)
    ours.update(batch())
    plain.update(batch())
    stepped = parameters(plain.model)
    for name, weights in parameters(ours.model).items():
        torch.testing.assert_close(weights, (1 - 1e-2 * 0.5) * stepped[name], rtol=1e-6, atol=0)
        assert torch.equal(moments(ours, name)["exp_avg"], moments(plain, name)["exp_avg"])


def test_decoupled_it_differs_from_adamw_in_second_order_of_the_learning_rate_alone() -> None:
    rate, strength = 1e-2, 0.5
    ours = rainbow(L2(strength=strength, decoupled=True), optimizer=ADAM)
    reference = rainbow(optimizer=partial(torch.optim.AdamW, lr=rate, eps=1.5e-4, weight_decay=strength))
    before = parameters(ours.model)
    ours.update(batch())
    reference.update(batch())
    adamw = parameters(reference.model)
    for name, weights in parameters(ours.model).items():
        step = (adamw[name] - (1 - rate * strength) * before[name]).double()
        difference = (weights - adamw[name]).double()
        torch.testing.assert_close(difference, -rate * strength * step, rtol=0, atol=2e-7)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize(
    ("layers", "part", "count"), [("encoder", "encoder.", 6), ("head.*.2", ".2.", 8), ("whole", "", 22)]
)
def test_what_decays_is_what_was_selected(decoupled: bool, layers: str, part: str, count: int) -> None:
    ours, plain = rainbow(L2(0.5, decoupled, layers), optimizer=ADAM), rainbow(optimizer=ADAM)
    ours.update(batch())
    plain.update(batch())
    # Adam's first step has hardly more than the gradient's sign: a coupled decay shows in the moments
    trace = parameters_of if decoupled else first_moments
    decayed = changed(trace(ours), trace(plain))
    head_only = part == ".2."
    assert decayed == {n for n in ours.params if part in n and not (head_only and n.startswith("encoder"))}
    assert len(decayed) == count  # biases and noisy deviations among them


def parameters_of(learner: Learner) -> dict[str, Tensor]:
    return parameters(learner.model)


def first_moments(learner: Learner) -> dict[str, Tensor]:
    return {name: moments(learner, name)["exp_avg"] for name in learner.params}


@pytest.mark.parametrize("decoupled", [False, True])
def test_frozen_heads_do_not_decay(decoupled: bool) -> None:
    learner = rainbow(L2(0.5, decoupled), PlasticityInjection(when=At(1)), optimizer=ADAM)
    train(learner, 1)
    frozen = {name: value for name, value in parameters(learner.model).items() if name not in learner.params}
    train(learner, 3)
    after = parameters(learner.model)
    assert frozen
    assert all(torch.equal(value, after[name]) for name, value in frozen.items())


def test_strength_0_is_the_base_optimizer() -> None:
    ours, plain = rainbow(L2(strength=0.0), optimizer=ADAM), rainbow(optimizer=ADAM)
    train(ours, 3)
    train(plain, 3)
    assert changed(parameters(ours.model), parameters(plain.model)) == set()


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(UsageError, match="l2: no trained parameter matches layers=trunk"):
        rainbow(L2(layers="trunk"))
    with pytest.raises(UsageError, match="l2: strength must be at least 0, not -1"):
        build(L2, {"strength": -1}, "l2")
    with pytest.raises(UsageError, match="weight decay"):
        refuse_conflicts([Addressed({"rainbow": L2()}), Addressed({"rainbow": L2()})])
