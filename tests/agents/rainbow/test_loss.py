"""Rainbow's loss against a reference that goes sample by sample and atom by atom in double precision."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from plastic.agents.rainbow.c51 import atoms
from plastic.agents.rainbow.loss import RainbowLoss
from plastic.agents.replay import Batch
from plastic.core.layers import draw_noise
from plastic.core.layers.noisy import noises
from plastic.testing.compare import same
from tests.trial import ACTIONS, Trial

SIZE = 64
SUPPORT = [-3 + 0.6 * place for place in range(11)]


def networks(**changes: Any) -> tuple[Trial, RainbowLoss]:
    """A trial whose online and target network differ in weights and noise, and its loss."""
    trial = Trial(**changes).warm_up()
    learner = trial.learner
    stream = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for model in (learner.model, learner.copies["target"]):
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=stream))
    learner.draw_noise()
    assert isinstance(learner.objective, RainbowLoss)
    return trial, learner.objective


def batch() -> Batch:
    """Random transitions; windows of three, two and one reward, and some that end in a terminal."""
    stream = torch.Generator().manual_seed(3)
    discount = torch.tensor([0.99**3, 0.99**2, 0.99, 0.0]).repeat(SIZE // 4)
    brightness = 4 * torch.rand(2, SIZE, 1, 1, 1, generator=stream)  # so that not all have the same best action
    images = brightness * torch.rand(2, SIZE, 2, 36, 36, generator=stream)
    return Batch(
        observation=images[0],
        action=torch.randint(ACTIONS, (SIZE,), generator=stream),
        returns=2 * torch.randn(SIZE, generator=stream),
        discount=discount,
        next_observation=images[1],
        weight=torch.rand(SIZE, generator=stream),
        index=torch.arange(SIZE),
    )


def logits(weights: Mapping[str, Tensor], images: Tensor) -> np.ndarray[Any, Any]:
    """The network written out on its tensors by name, noise included: [B, actions, atoms]."""
    w = {name: tensor.double() for name, tensor in weights.items()}
    x = images.double()
    for place in (0, 2):
        x = F.relu(F.conv2d(x, w[f"encoder.{place}.weight"], w[f"encoder.{place}.bias"], stride=5))
    x = x.flatten(1)

    def noisy(x: Tensor, at: str) -> Tensor:
        matrix = torch.outer(w[f"{at}.noise.outputs"], w[f"{at}.noise.inputs"])
        weight = w[f"{at}.weight_mu"] + w[f"{at}.weight_sigma"] * matrix
        return x @ weight.T + w[f"{at}.bias_mu"] + w[f"{at}.bias_sigma"] * w[f"{at}.noise.outputs"]

    value = noisy(F.relu(noisy(x, "head.value.0")), "head.value.2")
    advantage = noisy(F.relu(noisy(x, "head.advantage.0")), "head.advantage.2").view(len(x), ACTIONS, len(SUPPORT))
    return (value[:, None] + advantage - advantage.mean(1, keepdim=True)).numpy()


def softmax(values: Any) -> list[float]:
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def projected(probabilities: list[float], returns: float, discount: float) -> list[float]:
    """Algorithm 1 of Bellemare et al. (2017), with the case l == u."""
    result = [0.0] * len(SUPPORT)
    for probability, z in zip(probabilities, SUPPORT, strict=True):
        b = (min(max(returns + discount * z, SUPPORT[0]), SUPPORT[-1]) - SUPPORT[0]) / 0.6
        lower, upper = math.floor(b), math.ceil(b)
        result[lower] += probability * (upper - b if upper > lower else 1)
        result[min(upper, len(SUPPORT) - 1)] += probability * (b - lower)
    return result


def reference(trial: Trial, given: Batch, *, double: bool) -> tuple[list[int], list[list[float]], list[float]]:
    """Next actions, targets and losses of every sample."""
    learner = trial.learner
    online, target = learner.model.state_dict(), learner.copies["target"].state_dict()
    now, chooser = logits(online, given.observation), logits(online, given.next_observation)
    following = logits(target, given.next_observation)
    actions, targets, losses = [], [], []
    for sample in range(SIZE):
        choosing = (chooser if double else following)[sample]
        values = [sum(p * z for p, z in zip(softmax(row), SUPPORT, strict=True)) for row in choosing]
        action = values.index(max(values))
        m = projected(softmax(following[sample][action]), float(given.returns[sample]), float(given.discount[sample]))
        p = softmax(now[sample][int(given.action[sample])])
        actions.append(action)
        targets.append(m)
        losses.append(-sum(a * math.log(b) for a, b in zip(m, p, strict=True)))
    return actions, targets, losses


@pytest.mark.parametrize("double", [True, False])
def test_the_loss_is_the_reference(double: bool) -> None:
    trial, loss = networks(double=double)
    given = batch()
    model, copies = trial.learner.model, trial.learner.copies
    actions, targets, losses = reference(trial, given, double=double)
    assert len(set(actions)) > 1  # or the choice would not be seen
    with torch.no_grad():
        target = loss.target(model, copies, given)
        found = loss.losses(model, given, target)
    torch.testing.assert_close(target.double(), torch.tensor(targets, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.double(), torch.tensor(losses, dtype=torch.float64), atol=1e-4, rtol=1e-4)


def test_the_online_network_chooses_and_the_target_network_judges() -> None:
    """Or the two tests above could both hold with networks that agree."""
    trial, _ = networks()
    one, other = (reference(trial, batch(), double=double)[0] for double in (True, False))
    assert one != other


def test_the_choice_is_made_on_the_noise_at_hand() -> None:
    trial, loss = networks()
    given = batch()
    model, copies = trial.learner.model, trial.learner.copies
    with torch.no_grad():
        before = loss.target(model, copies, given)
        assert torch.equal(loss.target(model, copies, given), before)  # nothing is drawn in between
        draw_noise([b for sample in noises(model) for b in sample.buffers()], torch.Generator().manual_seed(0))
        after = loss.target(model, copies, given)
    _, targets, _ = reference(trial, given, double=True)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after.double(), torch.tensor(targets, dtype=torch.float64), atol=1e-5, rtol=0)


def test_a_terminal_does_not_bootstrap() -> None:
    trial, loss = networks()
    given = batch()
    ended = given.discount == 0
    elsewhere = given._replace(next_observation=1 - given.next_observation)
    model, copies = trial.learner.model, trial.learner.copies
    with torch.no_grad():
        one, other = (loss.target(model, copies, which) for which in (given, elsewhere))
    assert ended.sum() == SIZE // 4
    torch.testing.assert_close(one[ended], other[ended])
    assert not torch.isclose(one[~ended], other[~ended]).all(1).any()


def test_importance_weights_and_inputs_are_the_batchs() -> None:
    _, loss = networks()
    given = batch()
    assert loss.weights(given) is given.weight
    assert loss.inputs(given) == (given.observation,)


def test_the_support_has_both_ends() -> None:
    _, loss = networks()
    torch.testing.assert_close(loss.support, torch.tensor(SUPPORT))
    assert torch.equal(loss.support, atoms(-3.0, 3.0, 11))


def bytes_batch() -> Batch:
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2, SIZE, 2, 36, 36), generator=stream, dtype=torch.uint8)
    return batch()._replace(observation=images[0], next_observation=images[1])


def test_augmentation_draws_for_each_of_the_two_observations() -> None:
    _, loss = networks()
    given = bytes_batch()
    twice = given._replace(next_observation=given.observation)
    done = loss.augment(twice, torch.Generator().manual_seed(0))
    assert not torch.equal(done.observation, done.next_observation)
    assert not torch.isclose(done.observation, given.observation / 255).all()
    assert same(loss.augment(twice, torch.Generator().manual_seed(0)), done)
    for name in ("action", "returns", "discount", "weight", "index"):
        assert getattr(done, name) is getattr(twice, name)


def test_without_augmentation_bytes_are_only_scaled_and_nothing_is_drawn() -> None:
    trial, loss = networks()
    trial.agent.knobs["augmentation"] = False
    stream = torch.Generator().manual_seed(0)
    before = stream.get_state()
    given = bytes_batch()
    done = loss.augment(given, stream)
    torch.testing.assert_close(done.observation, given.observation / 255)
    torch.testing.assert_close(done.next_observation, given.next_observation / 255)
    assert torch.equal(stream.get_state(), before)


def test_what_probes_look_at_is_not_augmented() -> None:
    _, loss = networks(probe_batch=13)
    looked_at = loss.sample(torch.Generator().manual_seed(0))
    assert looked_at.observation.shape == (13, 2, 36, 36)
    levels = looked_at.observation * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert same(loss.sample(torch.Generator().manual_seed(0)), looked_at)
    assert torch.equal(looked_at.weight, torch.ones(13))


def test_what_probes_are_told_of_values_and_policy_is_the_reference() -> None:
    trial, loss = networks()
    given, model = batch(), trial.learner.model
    with torch.no_grad():
        target = loss.target(model, trial.learner.copies, given)
        predicted, wanted = loss.values(model, given, target)
        actions = loss.policy(model, loss.inputs(given))
    rows = logits(model.state_dict(), given.observation)
    values = [[sum(p * z for p, z in zip(softmax(row), SUPPORT, strict=True)) for row in rows[b]] for b in range(SIZE)]
    taken = [values[b][int(given.action[b])] for b in range(SIZE)]
    aims = [sum(p * z for p, z in zip(row, SUPPORT, strict=True)) for row in target.double().tolist()]
    torch.testing.assert_close(predicted.double(), torch.tensor(taken, dtype=torch.float64), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(wanted.double(), torch.tensor(aims, dtype=torch.float64), rtol=1e-4, atol=1e-4)
    assert actions.tolist() == [row.index(max(row)) for row in values]
    assert len(set(actions.tolist())) > 1
    assert loss.offers("policy")
    assert loss.offers("values")
