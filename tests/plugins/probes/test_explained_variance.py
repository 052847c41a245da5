"""Explained variance: by hand, on Rainbow against expectations written out, and for each of twin critics."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.learning.learner import Learner
from plastic.core.schedule import Always, Clock
from plastic.core.streams import generator
from plastic.plugins.probes.explained_variance import ExplainedVariance, explained
from tests.plugins.learners import ATOMS, SGD, assert_it_only_looks, learner_of, linear, measure, rainbow
from tests.plugins.probes.critics import Zero


@pytest.mark.parametrize(
    ("prediction", "target", "share"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 1.0),
        ([6.0, 7.0, 8.0], [1.0, 2.0, 3.0], 1.0),  # a constant is not held against it
        ([5.0, 5.0, 5.0], [1.0, 2.0, 3.0], 0.0),
        ([3.0, 2.0, 1.0], [1.0, 2.0, 3.0], -3.0),
        ([0.0, 0.0, 3.0], [0.0, 3.0, 3.0], 1 - 2 / 2),
        ([1.0, 2.0, 3.0], [4.0, 4.0, 4.0], math.nan),
    ],
)
def test_by_hand(prediction: list[float], target: list[float], share: float) -> None:
    value = float(explained(torch.tensor(prediction), torch.tensor(target)))
    assert value == pytest.approx(share, nan_ok=True)


def test_on_rainbow_it_is_about_expected_returns_of_the_actions_taken() -> None:
    learner = rainbow(ExplainedVariance(when=Always()))
    measured = measure(learner)
    assert measured.keys() == {"explained_variance/value"}
    given = learner.objective.sample(generator(0, "rainbow", "subject", learner.clock.now.updates))
    support = torch.linspace(-3, 3, ATOMS)
    for network in (learner.model, learner.copies["target"]):
        network.eval()
    with torch.no_grad():
        distributions = learner.objective.target(learner.model, learner.copies, given)
        chances = F.softmax(learner.model(given.observation), 2)
    prediction = torch.stack([(chances[b, action] * support).sum() for b, action in enumerate(given.action)])
    target = (distributions * support).sum(1)
    share = 1 - (target - prediction).numpy().var() / target.numpy().var()
    assert measured["explained_variance/value"] == pytest.approx(float(share), rel=1e-4)


def test_each_of_twin_critics_is_judged_by_itself() -> None:
    class Valued(Zero):
        def values(self, model: nn.Module, batch: Any, target: Any) -> tuple[Tensor, Tensor]:
            wanted = torch.tensor([1.0, 2.0, 3.0])
            return torch.stack((wanted, -wanted), 1), wanted

    probe = ExplainedVariance(when=Always())
    learner = Learner("critic", lambda: linear([[1.0]]), Valued(), SGD, plugins=[probe], clock=Clock())
    assert measure(learner) == {"explained_variance/member0": 1.0, "explained_variance/member1": -3.0}


def test_what_predicts_no_returns_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="explained_variance needs predicted returns, and small has none"):
        learner_of(lambda: linear([[1.0]]), torch.ones(1, 1), None, ExplainedVariance())


def test_it_only_looks() -> None:
    assert_it_only_looks(ExplainedVariance(when=Always()))
