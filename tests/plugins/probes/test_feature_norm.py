"""Norm of the features, by hand and for each of twin critics."""

import pytest
import torch
from torch import nn

from plastic.core.schedule import Always
from plastic.plugins.probes.feature_norm import FeatureNorm
from plastic.plugins.probes.feature_rank import FeatureRank
from tests.plugins.learners import Parts, assert_it_only_looks, learner_of, linear, measure, rainbow
from tests.plugins.probes import critics


def test_by_hand() -> None:
    """Rows (3, 4) and (0, 1): the mean of 5 and 1."""
    encoder = nn.Sequential(linear([[1.0, 0.0], [0.0, 1.0]]), nn.ReLU())
    inputs = torch.tensor([[3.0, 4.0], [-2.0, 1.0]])
    learner = learner_of(lambda: Parts(encoder, linear([[1.0, 1.0]])), inputs, None, FeatureNorm(when=Always()))
    assert measure(learner) == {"feature_norm/encoder": 3.0}


def test_its_features_are_those_of_the_ranks() -> None:
    measured = measure(rainbow(FeatureNorm(when=Always()), FeatureRank(when=Always())))
    norms = {name.split("/")[1] for name in measured if name.startswith("feature_norm")}
    assert norms == {"encoder", "head.value", "head.advantage"}
    assert norms == {name.split("/")[1] for name in measured if name.startswith("feature_rank")}


def test_twin_critics_have_features_of_their_own() -> None:
    model = critics.critic()
    measured = critics.probed(model, FeatureNorm(when=Always()))
    for number, values in enumerate(critics.values_one_by_one(model)):
        wanted = float(values["head.2"].norm(dim=1).mean())
        assert measured[f"feature_norm/head.member{number}"] == pytest.approx(wanted)


def test_it_only_looks() -> None:
    assert_it_only_looks(FeatureNorm(when=Always()))
