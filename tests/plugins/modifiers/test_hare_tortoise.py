"""Hare and tortoise: the recursion by hand, copied and never shared, after edits, and among the others."""

from copy import deepcopy
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.core.agent import Site
from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.recipes.options import build
from plastic.core.schedule import Always, At, Clock, Every
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.hare_tortoise import HareTortoise
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.modifiers.swa import SWA
from plastic.testing.invariants import faults
from tests.agents.actor_critic.trial import Trial
from tests.plugins.learners import changed, differences, learner_of, linear, moments, parameters, rainbow, state, train

RATE = 0.25


def slope(*plugins: Plugin) -> Learner:
    """One weight that starts at 8 and loses 0.25 an update."""
    return learner_of(
        lambda: linear([[8.0]]),
        torch.ones(1, 1),
        None,
        *plugins,
        loss=lambda out, _: out[:, 0],
        optimizer=partial(torch.optim.SGD, lr=RATE),
    )


def both(learner: Learner) -> tuple[float, float]:
    return float(learner.params["weight"].detach()), float(learner.copies["tortoise"].get_parameter("weight"))


def test_the_recursion_worked_by_hand() -> None:
    learner = slope(HareTortoise(momentum=0.5, when=Every(3)))
    assert both(learner) == (8.0, 8.0)
    # fast 7.75, 7.5, 7.25; slow 7.875, 7.6875, 7.46875, and the hare returns to it; fast then 7.21875
    seen = []
    for _ in range(4):
        train(learner, 1)
        seen.append(both(learner))
    assert seen == [(7.75, 7.875), (7.5, 7.6875), (7.46875, 7.46875), (7.21875, 7.34375)]


@pytest.mark.parametrize(("option", "value"), [("momentum", 0.9), ("when", {"every": 2})])
def test_each_option_is_live(option: str, value: Any) -> None:
    one, other = (
        slope(HareTortoise(0.5, when=Every(3))),
        slope(build(HareTortoise, {"momentum": 0.5, "when": {"every": 3}, option: value}, "h")),
    )
    train(one, 3)
    train(other, 3)
    assert both(one) != both(other)


def test_values_are_copied_and_memory_is_never_shared() -> None:
    learner = rainbow(HareTortoise(momentum=0.9, when=Every(2)))
    place = {name: parameter.data_ptr() for name, parameter in learner.params.items()}
    train(learner, 2)
    tortoise = parameters(learner.copies["tortoise"])
    assert all(torch.equal(value, tortoise[name]) for name, value in parameters(learner.model).items())
    assert {name: parameter.data_ptr() for name, parameter in learner.params.items()} == place
    assert faults(learner) == []  # that nothing of two networks lies in the same memory is one of them
    train(learner, 1)  # in an alias the whole step would arrive, not a tenth of it
    fast, slow = parameters(learner.model), parameters(learner.copies["tortoise"])
    for name, before in tortoise.items():
        torch.testing.assert_close(slow[name], 0.9 * before + 0.1 * fast[name], rtol=1e-5, atol=1e-7)
    assert changed(slow, fast) == set(learner.params)


def test_until_the_first_return_training_does_not_notice() -> None:
    with_it, without = rainbow(HareTortoise(when=Every(4))), rainbow()
    own = ("copies/tortoise", "mode.tortoise", "hooks.tortoise", "gradient.tortoise")

    def noticed() -> set[str]:
        return {n for n in differences(state(with_it), state(without)) if not n.startswith(own)}

    train(with_it, 3)
    train(without, 3)
    assert noticed() == set()
    train(with_it, 1)
    train(without, 1)
    assert {f"model/{name}" for name in with_it.params} <= noticed()
    assert not any(name.startswith("optimizer/state") for name in noticed())  # the moments are left alone


class Normed(nn.Sequential):
    """A network with batch statistics."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def test_batch_statistics_are_the_hares() -> None:
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    learner = learner_of(Normed, inputs, None, HareTortoise(0.9, when=Every(2)))
    for update in range(1, 4):
        train(learner, 1)
        mean = learner.model.get_buffer("1.running_mean")
        assert mean.any()
        assert torch.equal(mean, learner.copies["tortoise"].get_buffer("1.running_mean"))
        assert update == int(learner.model.get_buffer("1.num_batches_tracked"))


# ------------------------------------------------------------------ edits


@pytest.mark.parametrize("edit", [Reset(when=At(3)), PlasticityInjection(when=At(3))], ids=lambda plugin: plugin.name)
def test_a_reset_or_a_new_head_is_the_tortoises_too(edit: Plugin) -> None:
    learner = rainbow(HareTortoise(momentum=0.9, when=Every(5)), edit)
    train(learner, 3)
    fast, slow = parameters(learner.model), parameters(learner.copies["tortoise"])
    new = {name for name in fast if name.startswith("head.")}
    assert changed(fast, slow) == set(fast) - new
    train(learner, 2)
    assert changed(parameters(learner.model), parameters(learner.copies["tortoise"])) == set()
    assert faults(learner) == []


def test_shrinking_mixes_the_same_noise_into_both() -> None:
    learner, without = (
        rainbow(HareTortoise(0.9, when=Every(9)), ShrinkPerturb(when=At(2))),
        rainbow(HareTortoise(0.9, when=Every(9))),
    )
    train(learner, 2)
    train(without, 2)
    name = "encoder.0.weight"

    def noise(network: str) -> Tensor:
        after, before = (
            (one.model if network == "model" else one.copies[network]).get_parameter(name) for one in (learner, without)
        )
        return (after - 0.8 * before).detach()

    assert noise("model").any()
    torch.testing.assert_close(noise("model"), noise("tortoise"), rtol=0, atol=1e-6)


# ------------------------------------------------------------------ among the others


def test_a_mean_of_weights_is_one_of_those_that_stay_wherever_it_stands_in_the_list() -> None:
    for order in (1, -1):
        plugins: list[Plugin] = [SWA(when=Always()), HareTortoise(momentum=0.5, when=Every(1))]
        learner = slope(*plugins[::order])
        train(learner, 2)
        # fast 7.75 -> slow 7.875 -> fast 7.875; 7.625 -> 7.75 -> 7.75
        assert float(learner.copies["swa"].get_parameter("weight")) == pytest.approx((7.875 + 7.75) / 2)


def test_with_sam_the_hare_is_what_is_moved() -> None:
    learner = rainbow(SAM(rho=0.1), HareTortoise(0.9, when=Every(2)))
    train(learner, 3)
    assert faults(learner) == []


def one(plugin: Plugin) -> Addressed:
    return Addressed({"rainbow": plugin})


def test_two_copies_cannot_both_be_evaluated() -> None:
    refuse_conflicts([one(SWA()), one(HareTortoise())])
    for order in (1, -1):
        with pytest.raises(UsageError, match="both claim the evaluation copy; choose one"):
            refuse_conflicts([one(SWA()), one(HareTortoise(evaluate="tortoise"))][::order])


def test_there_is_one_tortoise() -> None:
    with pytest.raises(UsageError, match="'hare_tortoise' is there twice and claims the weights after a step"):
        refuse_conflicts([one(HareTortoise()), one(HareTortoise())])


@torch.no_grad()
def _always(model: nn.Module, action: int) -> None:
    for parameter in model.parameters():
        parameter.zero_()
    model.get_parameter("head.advantage.2.bias_mu").view(3, 3)[action, -1] = 5.0


@pytest.mark.parametrize(("evaluate", "acts"), [("agent", 0), ("tortoise", 1)])
def test_the_tortoise_is_evaluated_if_it_is_wanted(evaluate: str, acts: int) -> None:
    agent = Rainbow(encoder="nature", hidden=8, atoms=3, augmentation=False, epsilon_evaluation=0.0)
    agent.begin(
        Site(
            observation_space=gymnasium.spaces.Box(0, 255, (4, 36, 36), np.uint8),
            action_space=gymnasium.spaces.Discrete(3),
            frame_stack=4,
            frame_pad="zeros",
            plugins={"rainbow": [build(HareTortoise, {"evaluate": evaluate}, "hare_tortoise")]},
            clock=Clock(),
            seed=0,
            device=torch.device("cpu"),
        )
    )
    for action, name in enumerate(("target", "tortoise")):
        _always(agent.learners["rainbow"].copies[name], action)
    assert list(agent.policy(torch.Generator())(np.zeros((2, 4, 36, 36), np.uint8))) == [acts, acts]


def test_on_sac_critics_and_actor_have_a_tortoise_each() -> None:
    plugins = {name: [HareTortoise(momentum=0.9, when=Every(3))] for name in ("critic", "actor")}
    trial = Trial(plugins=plugins).warm_up().run(3)
    for name in plugins:
        learner = trial.agent.learners[name]
        assert changed(parameters(learner.model), parameters(learner.copies["tortoise"])) == set()
        assert faults(learner) == []
    trial.run(4)
    weight = trial.critic.params["head.2.weight"]
    slow = trial.critic.copies["tortoise"].get_parameter("head.2.weight")
    assert not any(torch.equal(weight[member], slow[member]) for member in range(2))


def test_a_checkpoint_between_two_returns_goes_on_exactly() -> None:
    whole = rainbow(HareTortoise(momentum=0.9, when=Every(4)))
    train(whole, 3)
    kept, clock = deepcopy(whole.state_dict()), deepcopy(whole.clock)
    train(whole, 3)
    resumed = rainbow(HareTortoise(momentum=0.9, when=Every(4)))
    resumed.load_state_dict(kept)
    resumed.clock.now, resumed.clock.before = clock.now, clock.before
    train(resumed, 3)
    assert differences(state(whole), state(resumed)) == set()
    assert moments(whole, "encoder.0.weight")


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="hare_tortoise: momentum must be between 0 and 1"):
        build(HareTortoise, {"momentum": 1.5}, "hare_tortoise")
