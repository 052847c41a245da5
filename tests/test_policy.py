"""Policies of trained agents."""

from pathlib import Path

import numpy as np
import pytest
import torch

from plastic import running
from plastic.core.recipes.assemble import assemble
from plastic.policy import Policy
from tests.core.games import Walk, registry
from tests.core.runs.test_run import PLAIN, WALK
from tests.core.stubs import exact


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    running.run(WALK, path, registry=registry())
    return path


def test_it_acts_one_observation_at_a_time_in_the_environment_of_evaluation(finished: Path) -> None:
    policy = running.load(finished, registry())
    env = policy.make_env()
    assert isinstance(env, Walk)
    assert env.lives == 3  # evaluation's rules
    assert env is not policy.make_env()
    observation, _ = env.reset(seed=1)
    for _ in range(20):
        action = policy.act(observation)
        assert type(action) is int
        assert action in (0, 1)
        observation, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset(seed=None if info["life_lost"] else 2)


def test_it_acts_greedily_by_the_evaluation_network_at_its_means(finished: Path) -> None:
    policy = running.load(finished, registry())
    learner = policy.assembly.agent.learners["rainbow"]
    assert learner.evaluation == "swa"
    network = learner.copies["swa"].eval()
    support = torch.linspace(0, 100, 5)
    observations = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32) * 3
    with torch.no_grad():
        values = network(torch.from_numpy(observations)).softmax(2) @ support
    assert [policy.act(one) for one in observations] == values.argmax(1).tolist()


def test_acting_changes_nothing(finished: Path) -> None:
    policy = running.load(finished, registry())
    learner = policy.assembly.agent.learners["rainbow"]
    before = exact(learner.state_dict())
    torch.manual_seed(0)
    state = torch.get_rng_state()
    for _ in range(5):
        policy.act(np.zeros(3, np.float32))
    assert exact(learner.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in learner.model.modules())


def test_two_of_a_run_act_alike(finished: Path) -> None:
    observations = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    acted = []
    for _ in range(2):
        policy = running.load(finished, registry())
        acted.append([policy.act(one) for one in observations])
    assert acted[0] == acted[1]


def test_vectors_of_actions_stay_arrays() -> None:
    assembly = assemble(PLAIN, registry())
    assembly.agent.policy = lambda generator: lambda observations: np.zeros((len(observations), 2))  # type: ignore[method-assign]
    action = Policy(assembly).act(np.zeros(3, np.float32))
    assert isinstance(action, np.ndarray)
    assert action.shape == (2,)
