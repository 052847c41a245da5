"""Weight norm: by hand, deviations counted, frozen heads not."""

import pytest
import torch
from torch import nn

from plastic.core.schedule import Always, At
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.probes.weight_norm import WeightNorm
from tests.plugins.learners import Parts, assert_it_only_looks, learner_of, linear, measure, norm, rainbow


def test_by_hand() -> None:
    encoder = nn.Sequential(linear([[1.0, -2.0]], [2.0]), nn.ReLU())  # 1 + 4 + 4
    model = Parts(encoder, linear([[4.0], [0.0]]))  # 16
    measured = measure(learner_of(lambda: model, torch.ones(1, 2), None, WeightNorm(when=Always())))
    assert measured == {"weight_norm/encoder": 3.0, "weight_norm/head": 4.0, "weight_norm/total": 5.0}


def test_it_is_one_norm_over_all_tensors_noisy_deviations_included() -> None:
    learner = rainbow(WeightNorm(when=Always()))
    measured = measure(learner)
    everything = {name: parameter.detach() for name, parameter in learner.params.items()}
    assert measured["weight_norm/total"] == pytest.approx(norm(everything), rel=1e-6)
    head = {name: value for name, value in everything.items() if name.startswith("head")}
    assert measured["weight_norm/head"] == pytest.approx(norm(head), rel=1e-6)
    means = {name: value for name, value in head.items() if "sigma" not in name}
    assert measured["weight_norm/head"] > 1.05 * norm(means)


def test_the_frozen_heads_of_an_injection_are_left_out() -> None:
    learner = rainbow(PlasticityInjection(when=At(1)), WeightNorm(when=Always()))
    measure(learner)
    before = measure(learner)
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if name.startswith(("head.old", "head.new_frozen")):
                parameter.mul_(100.0)
    assert measure(learner) == before
    new = {name: p.detach() for name, p in learner.params.items() if name.startswith("head.new.")}
    assert before["weight_norm/head"] == pytest.approx(norm(new), rel=1e-6)


def test_it_only_looks() -> None:
    assert_it_only_looks(WeightNorm(when=Always()))
