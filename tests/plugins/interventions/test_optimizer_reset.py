"""Resets of the optimizer: the first step after is a first step, weights and all else are untouched."""

from functools import partial
from typing import Any

import pytest
import torch

from plastic.core.edits import Forget
from plastic.core.errors import NothingToActOn
from plastic.core.schedule import At, Every, Never
from plastic.plugins.interventions.optimizer_reset import OptimizerReset
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.testing.invariants import faults
from tests.agents.actor_critic.trial import Trial
from tests.plugins.learners import (
    batch,
    changed,
    differences,
    learner_of,
    linear,
    moments,
    parameters,
    rainbow,
    state,
    train,
)

RATE = 0.01
ADAM = partial(torch.optim.Adam, lr=RATE, eps=1e-12)


def slope(optimizer: Any, *plugins: Any) -> Any:
    """One weight; a batch (s, 0) has the gradient s."""
    return learner_of(
        lambda: linear([[1.0]]), torch.ones(1, 1), None, *plugins, loss=lambda out, _: out[:, 0], optimizer=optimizer
    )


def given(gradient: float) -> Any:
    return torch.full((1, 1), gradient), torch.zeros(1, 1)


def test_the_first_step_after_it_is_one_of_the_learning_rate() -> None:
    """Adam's first step is g / |g|; a step of the same gradient under old moments is not."""
    for plugins, wanted in (([OptimizerReset(when=At(5))], RATE), ([], None)):
        learner = slope(ADAM, *plugins)
        train(learner, 5, batches=lambda _: given(-100.0))
        before = float(learner.params["weight"].detach())
        train(learner, 1, batches=lambda _: given(0.001))
        step = before - float(learner.params["weight"].detach())
        if wanted is None:
            assert step < -0.5 * RATE  # still the other way, on what it remembers
        else:
            assert step == pytest.approx(RATE, rel=1e-4)


def test_of_momentum_nothing_is_left_either() -> None:
    learner = slope(partial(torch.optim.SGD, lr=0.1, momentum=0.9), OptimizerReset(when=At(2)))
    train(learner, 2, batches=lambda _: given(3.0))
    before = float(learner.params["weight"].detach())
    train(learner, 1, batches=lambda _: given(1.0))
    assert before - float(learner.params["weight"].detach()) == pytest.approx(0.1, rel=1e-5)


def test_nothing_else_changes() -> None:
    with_it, without = rainbow(OptimizerReset(when=At(3))), rainbow()
    train(with_it, 3)
    train(without, 3)
    cleared = differences(state(with_it), state(without))
    assert cleared
    assert all(name.startswith("optimizer/state/") for name in cleared)
    for name in with_it.params:
        assert not any(value.any() for value in moments(with_it, name).values())
    train(with_it, 1)
    train(without, 1)
    assert "model/encoder.0.weight" in differences(state(with_it), state(without))


def test_of_other_layers_it_remembers() -> None:
    learner, without = rainbow(OptimizerReset(layers="head", when=At(2))), rainbow()
    train(learner, 2)
    train(without, 2)
    for name in learner.params:
        kept = moments(learner, name)
        if name.startswith("head."):
            assert not any(value.any() for value in kept.values())
        else:
            assert all(torch.equal(value, moments(without, name)[key]) for key, value in kept.items())


def test_it_comes_when_its_schedule_says() -> None:
    learner = rainbow(OptimizerReset(when=Every(2)))
    counts = []
    for _ in range(5):
        train(learner, 1)
        counts.append(int(moments(learner, "encoder.0.weight")["step"]))
    assert counts == [1, 0, 1, 0, 1]


def test_after_an_injection_it_forgets_of_what_is_trained_and_frozen_alike() -> None:
    learner = rainbow(PlasticityInjection(when=At(2)), OptimizerReset(when=At(4)))
    train(learner, 4)
    assert faults(learner) == []
    assert not any(value.any() for name in learner.params for value in moments(learner, name).values())
    train(learner, 1)
    assert faults(learner) == []


@pytest.mark.parametrize("kind", ["critic", "actor", "temperature"])
def test_on_sac_every_learner_has_an_optimizer_to_forget(kind: str) -> None:
    trial, without = Trial(plugins={kind: [OptimizerReset(when=At(2))]}).warm_up(), Trial().warm_up()

    def remembered(one: Trial) -> bool:
        learner = one.agent.learners[kind]
        return any(value.any() for name in learner.params for value in moments(learner, name).values())

    trial.run(1)
    assert remembered(trial)
    trial.run(2)
    without.run(2)
    assert not remembered(trial)
    assert remembered(without)
    for name, learner in trial.agent.learners.items():
        assert changed(parameters(learner.model), parameters(without.agent.learners[name].model)) == set()
        assert faults(learner) == []


def test_layers_that_are_not_there_are_refused() -> None:
    with pytest.raises(NothingToActOn, match="optimizer_reset: no parameters match 'hed'"):
        rainbow(OptimizerReset(layers="hed"))


def test_before_the_first_update_there_is_nothing_to_forget() -> None:
    reset = OptimizerReset(when=Never())
    learner = rainbow(reset)
    learner.write([Forget(list(learner.params))], by=reset)
    assert faults(learner) == []
    assert not learner.optimizer.state
    learner.update(batch())
