"""Policy churn: by hand, at its two moments, across a checkpoint and an edit."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.learning.learner import Learner
from plastic.core.schedule import Always, At, Every, Schedule
from plastic.core.streams import generator
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.probes.churn import Churn
from tests.plugins.learners import Data, assert_it_only_looks, batch, linear, measure, rainbow, train


class Acting(Data):
    """The greedy action is that of the largest output; continuous ones are the outputs."""

    continuous = False

    def __init__(self, inputs: Tensor) -> None:
        super().__init__(inputs, torch.zeros(len(inputs), 2), lambda outputs, targets: outputs.square().sum(1))

    def policy(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        outputs: Tensor = model(*inputs)
        return outputs if self.continuous else outputs.argmax(1)


class Continuous(Acting):
    continuous = True


def acting(objective: type[Acting], when: Schedule) -> Learner:
    """Two outputs, x and 1.5, at x = 0, 1, 2, 3."""
    inputs = torch.arange(4.0)[:, None]
    probe = Churn(when=when)
    return Learner(
        "small", lambda: linear([[1.0], [0.0]], [0.0, 1.5]), objective(inputs), torch.optim.SGD, plugins=[probe]
    )


def to(learner: Learner, bias: float) -> None:
    with torch.no_grad():
        learner.model.get_parameter("bias")[1] = bias


def test_the_share_of_greedy_actions_that_change_by_hand() -> None:
    learner = acting(Acting, Every(3))
    seen = []
    for bias in (1.5, 1.5, 1.5, 2.5, 0.5):  # 2 of 4 states have x ahead, then 1, then 3
        to(learner, bias)
        seen.append(measure(learner))
    assert seen == [{}, {}, {}, {"churn/policy": 1 / 4}, {}]


def test_the_mean_change_of_continuous_actions_by_hand() -> None:
    learner = acting(Continuous, At(1))
    measure(learner)
    to(learner, 0.5)
    assert measure(learner) == {"churn/policy": 1.0 / 2}  # one of two dimensions, by 1 at each state


def test_always_compares_every_update_with_the_one_before() -> None:
    learner = acting(Acting, Always())
    shares = []
    for bias in (1.5, 2.5, 2.5, 0.5):
        to(learner, bias)
        shares.append(measure(learner).get("churn/policy"))
    assert shares == [None, 1 / 4, 0.0, 2 / 4]


def greedy(learner: Learner, update: int) -> tuple[Any, Any]:
    """Greedy actions of network and target at the states looked at after that update."""
    given = learner.objective.sample(generator(0, "rainbow", "subject", update))
    actions = []
    for network in (learner.model, learner.copies["target"]):
        network.eval()
        with torch.no_grad():
            chances = network(given.observation).softmax(2)
        network.train()
        actions.append((chances * torch.linspace(-3, 3, chances.shape[2])).sum(2).argmax(1))
    return actions[0], actions[1]


def turn(model: nn.Module) -> None:
    """The advantages change their sign: what was the best action is not."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "advantage.2" in name:
                parameter.neg_()


def test_on_rainbow_network_and_target_are_compared_at_the_same_states() -> None:
    learner = rainbow(Churn(when=At(2)))
    train(learner, 1)
    turn(learner.copies["target"])
    learner.clock.advance(updates=1)
    first = learner.measure()
    learner.clock.tick()
    before = greedy(learner, 2)
    turn(learner.model)
    turn(learner.copies["target"])
    learner.clock.advance(updates=1)
    second = learner.measure()
    after = greedy(learner, 2)
    assert {name: float(value) for name, value in first.items()} == {
        "churn/from_target": pytest.approx(float((before[0] != before[1]).float().mean()))
    }
    changes = [float((one != other).float().mean()) for one, other in zip(before, after, strict=True)]
    assert [float(second["churn/policy"]), float(second["churn/target"])] == pytest.approx(changes)
    assert min(float(first["churn/from_target"]), *changes) > 0


def test_a_checkpoint_between_the_two_moments_changes_nothing() -> None:
    learner, resumed = rainbow(Churn(when=At(2))), rainbow(Churn(when=At(2)))
    train(learner, 2)
    file = io.BytesIO()
    torch.save(learner.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    resumed.clock.now, resumed.clock.before = learner.clock.now, learner.clock.before
    found = []
    for one in (learner, resumed):
        one.clock.advance(updates=1)
        one.update(batch(3))
        found.append({name: float(value) for name, value in one.measure().items()})
    assert found[0] == found[1]
    assert found[0].keys() == {"churn/policy", "churn/target"}
    probe = learner.plugins[0]
    assert isinstance(probe, Churn)
    assert (probe.inputs, probe.actions) == ([], {})  # no batch of states lies in later checkpoints


def test_an_edit_at_the_moment_is_part_of_the_change() -> None:
    learner = rainbow(Churn(when=At(2)), Reset(when=At(2)), total=9)
    train(learner, 2)
    before = learner.plugins[0].actions["policy"]  # type: ignore[attr-defined]
    now, _ = greedy(learner, 2)  # after the reset, before any update
    share = float((before != now).float().mean())
    assert share > 0
    assert measure(learner)["churn/policy"] == pytest.approx(share)  # nothing but the edit in between


def test_what_has_no_policy_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="churn needs a policy, and small has none"):
        Learner(
            "small",
            lambda: linear([[1.0]]),
            Data(torch.ones(1, 1), torch.ones(1, 1), lambda a, b: a),
            torch.optim.SGD,
            plugins=[Churn()],
        )


def test_it_only_looks() -> None:
    assert_it_only_looks(Churn(when=Always()))
