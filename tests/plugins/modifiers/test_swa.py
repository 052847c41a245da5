"""SWA: the running mean, its window, what starts it anew, and that training does not notice."""

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.core.agent import Site
from plastic.core.edits import Forget, Overwrite
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.schedule import Always, At, Clock, Counts, Every, Never
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.swa import SWA
from tests.plugins.learners import differences, learner_of, parameters, rainbow, state, train

INPUTS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def small(*plugins: Plugin, total: int = 0) -> Learner:
    return learner_of(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), INPUTS, None, *plugins, total=total
    )


def test_it_is_the_mean_of_the_weights_after_the_updates_of_its_schedule() -> None:
    swa = SWA(when=Every(2, start=3))
    learner = small(swa)
    seen = []
    for update in range(1, 12):
        train(learner, 1)
        if update in (5, 7, 9, 11):
            seen.append(parameters(learner.model))
        assert swa.count == len(seen)
    for name, average in learner.copies["swa"].named_parameters():
        mean = torch.stack([weights[name] for weights in seen]).double().mean(0)
        torch.testing.assert_close(average.double(), mean, rtol=1e-5, atol=1e-7)


def test_the_mean_of_weights_that_stay_is_those_weights() -> None:
    learner = rainbow(SWA(when=Always()), optimizer=lambda params: torch.optim.SGD(params, lr=0.0))
    train(learner, 4)
    average = dict(learner.copies["swa"].named_parameters())
    assert all(torch.equal(average[name], parameter) for name, parameter in learner.model.named_parameters())


def test_the_window_is_counted_from_the_end_of_the_run() -> None:
    swa = SWA(when=Every(2, start=-10))
    learner = small(swa, total=20)
    counts = []
    for _ in range(20):
        train(learner, 1)
        counts.append(int(swa.count))
    assert counts == [0] * 11 + [1, 1, 2, 2, 3, 3, 4, 4, 5]


def test_by_default_it_averages_400_weights_of_the_last_40_000_updates() -> None:
    total = Counts(updates=196_002)  # Atari-100k at replay ratio 2; the window begins after update 156,002
    when = SWA().when

    def due(update: int) -> bool:
        return when(Clock(Counts(updates=update), Counts(updates=update - 1), total))

    fired = [update for update in range(100, 196_003, 2) if due(update)]  # the start is even, the period too
    assert (fired[0], fired[-1], len(fired)) == (156_102, 196_002, 400)
    assert not any(due(update) for update in range(156_003, 196_002, 2))


def test_training_does_not_notice() -> None:
    with_swa, without = rainbow(SWA(when=Every(2))), rainbow()
    losses = zip(train(with_swa, 6), train(without, 6), strict=True)
    assert all(torch.equal(one, other) for one, other in losses)
    own = ("copies/swa", "mode.swa", "hooks.swa", "gradient.swa")
    assert {n for n in differences(state(with_swa), state(without)) if not n.startswith(own)} == set()


@pytest.mark.parametrize(
    "edit",
    [
        Reset(when=At(5)),
        ShrinkPerturb(when=At(5)),
        PlasticityInjection(when=At(5)),
    ],
    ids=lambda plugin: plugin.name,
)
def test_the_mean_begins_anew_when_whole_weights_are_overwritten_or_replaced(edit: Plugin) -> None:
    swa = SWA(when=Always())
    learner = rainbow(swa, edit)
    train(learner, 4)
    assert (int(swa.count), learner.evaluation) == (4, "swa")
    train(learner, 1)
    assert (int(swa.count), learner.evaluation) == (0, None)
    train(learner, 1)
    average = parameters(learner.copies["swa"])
    assert all(torch.equal(average[name], weights) for name, weights in parameters(learner.model).items())
    train(learner, 1)
    average, weights = parameters(learner.copies["swa"]), parameters(learner.model)
    assert not torch.equal(average["encoder.0.weight"], weights["encoder.0.weight"])
    assert swa.count == 2


def test_the_mean_goes_on_where_a_part_is_written_or_moments_are_forgotten() -> None:
    swa, by = SWA(when=Always()), Reset(layers="0", when=Never())
    learner = small(swa, by)
    train(learner, 3)
    mask = torch.zeros(4, 3, dtype=torch.bool)
    mask[0] = True
    learner.write([Overwrite("0.weight", torch.ones(4, 3), where=mask), Forget(["0.bias"])], by=by)
    assert swa.count == 3


def test_evaluation_acts_with_the_mean_once_it_holds_something() -> None:
    swa = SWA(when=At(2))
    agent = Rainbow(encoder="nature", hidden=8, atoms=3, augmentation=False, epsilon_evaluation=0.0)
    agent.begin(
        Site(
            observation_space=gymnasium.spaces.Box(0, 255, (4, 36, 36), np.uint8),
            action_space=gymnasium.spaces.Discrete(3),
            frame_stack=4,
            frame_pad="zeros",
            plugins={"rainbow": [swa]},
            clock=Clock(),
            seed=0,
            device=torch.device("cpu"),
        )
    )
    learner = agent.learners["rainbow"]
    for action, name in enumerate(("target", "swa")):
        _always(learner.copies[name], action)
    act = agent.policy(torch.Generator())
    observations = np.zeros((2, 4, 36, 36), np.uint8)
    assert list(act(observations)) == [0, 0]
    swa.begun = True
    assert list(act(observations)) == [1, 1]


@torch.no_grad()
def _always(model: nn.Module, action: int) -> None:
    """Make the greedy action the same everywhere: all weights 0, and the bias of its highest atom up."""
    for parameter in model.parameters():
        parameter.zero_()
    model.get_parameter("head.advantage.2.bias_mu").view(3, 3)[action, -1] = 5.0
