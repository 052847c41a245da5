import pytest
import torch

from plastic.bench.play import random_play
from plastic.bench.workload import Workload
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Recipe
from plastic.core.recipes.registry import Registry


def test_a_workload_learns_as_a_run_does() -> None:
    settings = {"hidden": 16, "learning_starts": 5_000, "batch_size": 8, "replay_capacity": 1_000}
    recipe = Recipe(env="CartPole-v1", steps=6_000, settings=settings)
    registry = Registry().load()
    workload = Workload.of(recipe, registry, random_play(assemble(recipe, registry).env, seed=0))
    clock = workload.assembly.clock
    assert (clock.now.updates, clock.now.agent_steps) == (0, 5_000)  # so that it acts as one that has begun to learn
    (learner,) = workload.assembly.agent.learners.values()
    weights = {name: parameter.detach().clone() for name, parameter in learner.params.items()}
    workload()
    assert clock.now.updates == clock.before.updates == 1
    assert any(not torch.equal(parameter, weights[name]) for name, parameter in learner.params.items())
    assert workload.observing > 0


def test_what_its_learners_hold_is_counted_once() -> None:
    settings = {"hidden": 16, "learning_starts": 32, "batch_size": 8, "replay_capacity": 1_000}
    recipe = Recipe(env="CartPole-v1", steps=200, settings=settings)
    registry = Registry().load()
    workload = Workload.of(recipe, registry, random_play(assemble(recipe, registry).env, seed=0))
    workload()
    (learner,) = workload.assembly.agent.learners.values()
    weights = sum(parameter.nbytes for parameter in learner.params.values())
    held = 1e6 * workload.megabytes()
    assert (
        4 * weights <= held < 4.5 * weights + 10_000
    )  # weights, target and Adam's two moments; noise, counts, streams


def test_a_call_is_one_update_on_a_cpu_and_as_many_as_there_are_between_two_actions_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"hidden": 16, "learning_starts": 32, "batch_size": 8, "replay_capacity": 1_000, "replay_ratio": 3}
    recipe = Recipe(env="CartPole-v1", steps=200, settings=settings)
    registry = Registry().load()
    workload = Workload.of(recipe, registry, random_play(assemble(recipe, registry).env, seed=0))
    workload()
    assert workload.stretch == workload.assembly.clock.now.updates == 1
    monkeypatch.setattr(Workload, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    workload()
    assert workload.assembly.clock.now.updates == 1 + 3
    for ratio, stretch in ((0.25, 1), (1.5, 1), (64.0, 8)):
        workload.assembly.agent.replay_ratio = ratio
        assert workload.stretch == stretch
