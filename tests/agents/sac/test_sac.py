"""SAC: updates against a loop written by hand, their order, and what is its own beside what agents share."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from plastic.agents.sac import squashed
from plastic.agents.sac.losses import ActorLoss, CriticLoss, TemperatureLoss
from plastic.agents.sac.sac import SAC
from plastic.core.layers import FanInUniform, Orthogonal
from plastic.testing.compare import same
from plastic.testing.invariants import faults
from tests.agents.actor_critic.handwritten import Draws, Loop, distances, gaussian
from tests.agents.actor_critic.trial import ACTIONS, UPDATES, Trial, weights

PLACES = [pytest.param(False, id="states"), pytest.param(True, id="pixels")]


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> Draws:
    return Draws(monkeypatch)


# -------------------------------------------------------------------- updates


@pytest.mark.parametrize(
    ("pixels", "changes"),
    [
        pytest.param(False, {}, id="states"),
        pytest.param(False, {"n_step": 3, "initialisation": "torch", "target_entropy": -1.0}, id="states, 3 steps"),
        pytest.param(True, {}, id="pixels"),
        pytest.param(True, {"encoder": "drqv2", "initial_temperature": 0.1}, id="pixels, the other encoder"),
    ],
)
def test_updates_are_those_of_a_loop_written_by_hand(pixels: bool, changes: dict[str, Any], draws: Draws) -> None:
    """Two critics one after the other, torch's Adam, nothing shared or fused: the same weights, to float32's digits."""
    trial = Trial(pixels=pixels, **changes).warm_up()
    loop = Loop(trial, pixels, gaussian)
    assert set(loop.differences(trial).values()) == {0.0}
    start = weights(trial)
    found = distances(trial, loop, draws, 4, changes.get("target_entropy", -0.5) * ACTIONS)
    assert len(found) == (59 if pixels else 31)
    assert max(found.values()) < 1e-3, found
    moved = weights(trial)
    assert all(not same(moved[name], tensor) for name, tensor in start.items()), "something did not learn"


def test_the_order_of_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """Critic, target, the actor's encoder, actor, temperature; next actions are the actor's of before its step."""
    trial = Trial(pixels=True).warm_up().run(2)
    seen: list[tuple[str, dict[str, Tensor]]] = []
    given: list[Any] = []

    def watch(owner: Any, name: str, moment: str) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            seen.append((moment, weights(trial)))
            given.append(arguments)
            return original(*arguments)

        monkeypatch.setattr(owner, name, watched)

    watch(CriticLoss, "worth", "critic")
    watch(ActorLoss, "losses", "actor")
    watch(TemperatureLoss, "losses", "temperature")
    before = weights(trial)
    trial.update()
    after = weights(trial)
    assert [moment for moment, _ in seen] == ["critic", "actor", "temperature"]
    (_, first), (_, second), (_, third) = seen
    assert same(first, before)
    for name in before:
        critics = name.startswith("critic.")  # the model, its target and the encoder's copy
        assert same(second[name], (after if critics else before)[name]), name
        assert same(third[name], (before if name.startswith("temperature.") else after)[name]), name
        assert not same(after[name], before[name]), name
    losses = trial.actor.objective
    assert isinstance(losses, ActorLoss)
    assert given[2][2] is losses.log_probability  # of the actor's very actions


@pytest.mark.parametrize("pixels", PLACES)
def test_the_temperature_goes_where_the_entropy_asks(pixels: bool) -> None:
    """An entropy below its target raises the temperature, one above lowers it."""
    for target, sign in ((50.0, 1), (-50.0, -1)):
        trial = Trial(pixels=pixels, target_entropy=target, initial_temperature=0.2).warm_up()
        assert trial.alpha == pytest.approx(0.2)
        trial.run(3)
        assert sign * (trial.alpha - 0.2) > 0


def test_a_huge_temperature_flattens_the_policy_and_none_sharpens_it() -> None:
    """The actor climbs the value at a temperature of nearly 0, and its entropy at a large one."""
    deviation = []
    for alpha in (1e-6, 100.0):
        trial = Trial(initial_temperature=alpha, target_entropy=0.0).warm_up().run()
        with torch.no_grad():
            outputs = trial.actor.model(torch.from_numpy(np.stack([step.observation for step in trial.lived])))
        deviation.append(float(squashed.parameters(outputs)[1].mean()))
    assert deviation[1] > deviation[0] + 0.2


def test_what_is_logged_is_by_learner() -> None:
    trial = Trial().warm_up().run(4)
    averages = {name: learner.averages() for name, learner in trial.agent.learners.items()}
    assert {name: set(found) for name, found in averages.items()} == {
        "critic": {"loss", "value"},
        "actor": {"loss", "entropy"},
        "temperature": {"loss", "temperature"},
    }
    assert averages["temperature"]["temperature"] == pytest.approx(1, abs=0.05)
    assert all(math.isfinite(value) for found in averages.values() for value in found.values())


# -------------------------------------------------------------------- networks


def test_the_heads_start_as_asked_and_the_two_critics_apart() -> None:
    for name, kind in (("orthogonal", Orthogonal(2**0.5)), ("torch", FanInUniform())):
        trial = Trial(initialisation=name)
        for learner in (trial.critic, trial.actor):
            assert [learner.model.get_submodule(f"head.{k}").init for k in (0, 2, 4)] == [kind] * 3
        one, other = trial.critic.params["head.0.weight"]
        assert not torch.isclose(one, other).any()
    assert [len(trial.critic.params), len(trial.actor.params), len(trial.temperature.params)] == [6, 6, 1]


@pytest.mark.parametrize("pixels", PLACES)
def test_copies_start_equal_and_nothing_is_wrong_with_any_learner_at_any_time(pixels: bool) -> None:
    trial = Trial(pixels=pixels).warm_up()
    model, copies = trial.critic.model, trial.critic.copies
    assert copies.keys() == {"target", "actor_encoder"}
    assert same(dict(copies["target"].named_parameters()), dict(model.named_parameters()))
    for update in range(1, UPDATES + 1):
        trial.run(update)
        encoder = dict(model.get_submodule("encoder").named_parameters())
        assert len(encoder) == (8 if pixels else 0)
        assert same(dict(copies["actor_encoder"].named_parameters()), encoder)
        assert [faults(learner) for learner in trial.agent.learners.values()] == [[], [], []]


# -------------------------------------------------------------------- acting


@pytest.mark.parametrize("pixels", PLACES)
def test_it_explores_by_its_own_distribution(pixels: bool) -> None:
    trial = Trial(pixels=pixels).warm_up().run(3)
    observation = trial.lived[5].observation
    kept = torch.from_numpy(observation)[None].float() / (255 if pixels else 1)
    with torch.no_grad():
        outputs = trial.actor.model(trial.critic.copies["actor_encoder"](kept))
    stream = torch.Generator()
    stream.set_state(trial.agent.state_dict()["exploration"])
    wanted, _ = gaussian(outputs, torch.randn(1, ACTIONS, generator=stream))
    low, high = np.array([-2, -1]), np.array([1, 3])
    action = trial.agent.act(observation)
    np.testing.assert_allclose(action, low + (wanted[0].numpy() + 1) / 2 * (high - low), rtol=1e-5)
    assert not np.allclose(trial.agent.act(observation), action)
    act = trial.agent.policy(torch.Generator())
    mean = outputs[0, :ACTIONS].tanh().numpy()
    np.testing.assert_allclose(act(observation[None])[0], low + (mean + 1) / 2 * (high - low), rtol=1e-5)


# -------------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("hidden", 0),
        ("replay_ratio", 0.0),
        ("discount", 1.1),
        ("target_rate", 0.0),
        ("initial_temperature", 0.0),
        ("learning_rate", -1.0),
        ("shift", -1),
    ],
)
def test_values_out_of_range_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        SAC(**{option: value})
