"""Ranks of the features: three numbers under three names, by hand and against numpy."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.recipes.options import build
from plastic.core.schedule import Always, At
from plastic.core.streams import generator
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.probes.feature_rank import FeatureRank, effective_rank, srank, stable_rank
from tests.plugins.learners import Parts, assert_it_only_looks, learner_of, linear, measure, rainbow
from tests.plugins.probes import critics


def probed(model: nn.Module, inputs: Tensor, delta: float = 0.01) -> dict[str, float]:
    return measure(learner_of(lambda: model, inputs, None, FeatureRank(delta=delta, when=Always())))


@pytest.mark.parametrize(
    ("singular", "delta", "rank"),
    [
        ([98.0, 1.5, 0.5], 0.01, 2),
        ([98.0, 1.5, 0.5], 0.02, 1),
        ([98.0, 1.5, 0.5], 0.0, 3),
        ([1.0, 1.0, 1.0, 1.0], 0.01, 4),
        ([1.0, 1.0, 1.0, 1.0], 0.25, 3),
        ([1.0, 1.0, 1.0, 1.0], 0.26, 3),
        ([5.0, 0.0, 0.0], 0.01, 1),
        ([5.0], 0.01, 1),
    ],
)
def test_srank_by_hand(singular: list[float], delta: float, rank: int) -> None:
    assert int(srank(torch.tensor(singular), delta)) == rank


def test_srank_never_exceeds_the_number_of_singular_values() -> None:
    random = torch.Generator().manual_seed(0)
    for size in range(1, 200):
        assert int(srank(torch.rand(size, generator=random).sort(descending=True).values, 0.0)) <= size


def test_effective_and_stable_rank_by_hand() -> None:
    singular = torch.tensor([2.0, 1.0])
    entropy = -(2 / 3) * math.log(2 / 3) - (1 / 3) * math.log(1 / 3)
    assert effective_rank(singular).item() == pytest.approx(math.exp(entropy))
    assert stable_rank(singular).item() == 5 / 4
    assert effective_rank(torch.tensor([3.0, 0.0])).item() == pytest.approx(1.0)  # 0 log 0 is 0


def test_srank_is_not_stable_rank() -> None:
    singular = torch.tensor([8.0, 4.0, 4.0, 4.0])
    assert int(srank(singular)) == 4
    assert stable_rank(singular).item() == pytest.approx(112 / 64)


def test_the_probe_by_hand() -> None:
    """The features of the samples are (2, 0) and (0, 1): singular values 2 and 1."""
    model = Parts(nn.Sequential(linear([[1.0, 0.0], [0.0, 1.0]]), nn.ReLU()), linear([[1.0, 1.0]]))
    measured = probed(model, torch.tensor([[2.0, -1.0], [-1.0, 1.0]]))
    assert measured == {
        "feature_rank/encoder/srank": 2.0,
        "feature_rank/encoder/effective_rank": pytest.approx(1.8899, abs=1e-4),
        "feature_rank/encoder/stable_rank": pytest.approx(1.25),
    }


def test_on_rainbow_they_are_numpys_ranks_of_the_flattened_convolution_and_of_each_stream() -> None:
    learner = rainbow(FeatureRank(delta=0.05, when=Always()), probe_batch=32)
    measured = measure(learner)
    batch = learner.objective.sample(generator(0, "rainbow", "subject", learner.clock.now.updates))
    model = learner.model.eval()
    with torch.no_grad():
        encoded = model.get_submodule("encoder")(batch.observation)
        features = {
            "encoder": encoded,
            "head.value": torch.relu(model.get_submodule("head.value.0")(encoded)),
            "head.advantage": torch.relu(model.get_submodule("head.advantage.0")(encoded)),
        }
    assert len(measured) == 3 * len(features)
    for name, values in features.items():
        matrix = values.double().numpy()
        singular = np.linalg.svd(matrix, compute_uv=False)
        share = singular / singular.sum()
        k = next(k for k in range(1, len(singular) + 1) if share[:k].sum() >= 0.95)
        entropy = -sum(p * math.log(p) for p in share if p > 0)
        frobenius, spectral = np.linalg.norm(matrix), np.linalg.norm(matrix, 2)
        assert measured[f"feature_rank/{name}/srank"] == k
        assert measured[f"feature_rank/{name}/effective_rank"] == pytest.approx(math.exp(entropy), rel=1e-3)
        assert measured[f"feature_rank/{name}/stable_rank"] == pytest.approx((frobenius / spectral) ** 2, rel=1e-3)


def test_layers_before_the_last_of_a_module_are_no_features() -> None:
    blocks = [nn.Sequential(linear([[1.0]] * 3), nn.ReLU()), nn.Sequential(linear([[1.0] * 3] * 2), nn.ReLU())]
    encoder = nn.Sequential(*blocks)
    head = nn.Sequential(linear([[1.0] * 2] * 4), nn.ReLU(), linear([[1.0] * 4]))
    measured = probed(Parts(encoder, head), torch.rand(8, 1) + 1)
    assert {key.rsplit("/", 1)[0] for key in measured} == {"feature_rank/encoder.1", "feature_rank/head"}
    assert list(measured.values()) == pytest.approx([1.0] * 6, abs=1e-3)  # all features are multiples of one number


class Joined(nn.Module):
    """Two layers, side by side, and one that reads both."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(linear([[1.0]]), nn.ReLU())
        self.two = nn.Sequential(linear([[2.0]]), nn.ReLU())
        self.last = nn.Sequential(linear([[1.0, 1.0]] * 3), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(torch.cat((self.one(x), self.two(x)), 1))
        return y


def test_layers_that_are_joined_before_the_last_are_no_features_either() -> None:
    measured = probed(Parts(Joined(), linear([[1.0] * 3])), torch.rand(8, 1) + 1)
    assert {key.rsplit("/", 1)[0] for key in measured} == {"feature_rank/encoder.last"}


def test_features_that_vanished_have_no_rank() -> None:
    model = Parts(nn.Sequential(linear([[-1.0], [-1.0]]), nn.ReLU()), linear([[1.0, 1.0]]))
    measured = probed(model, torch.ones(3, 1))
    assert len(measured) == 3
    assert all(map(math.isnan, measured.values()))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_not_finite_have_no_rank(bad: float) -> None:
    model = Parts(nn.Sequential(linear([[bad], [1.0]]), nn.ReLU()), linear([[1.0, 1.0]]))
    measured = probed(model, torch.ones(3, 1))
    assert len(measured) == 3
    assert all(map(math.isnan, measured.values()))


def test_the_frozen_heads_of_an_injection_are_left_out() -> None:
    learner = rainbow(PlasticityInjection(when=At(1)), FeatureRank(when=Always()))
    assert {key.split("/")[1] for key in measure(learner)} == {"encoder", "head.value", "head.advantage"}
    assert {key.split("/")[1] for key in measure(learner)} == {"encoder", "head.new.value", "head.new.advantage"}


def test_delta_is_a_share() -> None:
    with pytest.raises(UsageError, match="feature_rank: delta must be between 0 and 1, not 2"):
        build(FeatureRank, {"delta": 2}, "feature_rank")


def test_it_only_looks() -> None:
    assert_it_only_looks(FeatureRank(when=Always()))


def test_each_of_twin_critics_has_features_of_its_own() -> None:
    model = critics.critic()
    measured = critics.probed(model, FeatureRank(when=Always()))
    one, two = critics.values_one_by_one(model)
    features = {
        "encoder": one["encoder.3"].flatten(1),
        "trunk": one["trunk.0"],
        "head.member0": one["head.2"],
        "head.member1": two["head.2"],
    }
    assert {key.split("/")[1] for key in measured} == features.keys()
    for name, values in features.items():
        singular = torch.linalg.svdvals(values)
        assert measured[f"feature_rank/{name}/srank"] == int(srank(singular))
        assert measured[f"feature_rank/{name}/effective_rank"] == pytest.approx(effective_rank(singular).item())
        assert measured[f"feature_rank/{name}/stable_rank"] == pytest.approx(stable_rank(singular).item())
    assert measured["feature_rank/head.member0/srank"] > measured["feature_rank/head.member1/srank"]
