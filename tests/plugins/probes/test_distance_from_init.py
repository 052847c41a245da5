"""Distance from the first values, by hand and against values that were kept."""

import pytest
import torch
from torch import nn

from plastic.core.schedule import Always, At
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.probes.distance_from_init import DistanceFromInit
from tests.plugins.learners import (
    Parts,
    assert_it_only_looks,
    learner_of,
    linear,
    measure,
    norm,
    parameters,
    rainbow,
    train,
)


def test_by_hand() -> None:
    def make() -> nn.Module:
        return Parts(linear([[3.0], [4.0]]), linear([[0.0, 6.0]], [8.0]))

    learner = learner_of(make, torch.ones(1, 1), None, DistanceFromInit(when=Always()))
    assert set(measure(learner).values()) == {0.0}
    with torch.no_grad():
        learner.model.get_parameter("encoder.weight").add_(torch.tensor([[1.0], [2.0]]))
        learner.model.get_parameter("head.bias").sub_(2.0)
    measured = measure(learner)
    assert measured == {
        "distance_from_init/encoder": pytest.approx(5**0.5),
        "distance_from_init/head": pytest.approx(2.0),
        "distance_from_init/total": pytest.approx(3.0),
        "distance_from_init/relative/encoder": pytest.approx(5**0.5 / 5),
        "distance_from_init/relative/head": pytest.approx(2 / 10),
        "distance_from_init/relative/total": pytest.approx(3 / 125**0.5),
    }


def test_on_rainbow_it_is_the_distance_to_what_was_there_at_first() -> None:
    learner = rainbow(Reset(when=At(2)), DistanceFromInit(when=Always()), seed=4)
    first = parameters(learner.model)
    train(learner, 3)
    measured = measure(learner)
    moved = {name: p - first[name] for name, p in parameters(learner.model).items()}
    assert measured["distance_from_init/total"] == pytest.approx(norm(moved), rel=1e-5)
    head = [value for name, value in moved.items() if name.startswith("head")]
    assert measured["distance_from_init/head"] == pytest.approx(norm(head), rel=1e-5)


def test_a_new_head_is_compared_with_itself_and_frozen_heads_are_left_out() -> None:
    learner = rainbow(PlasticityInjection(when=At(1)), DistanceFromInit(when=Always()))
    assert measure(learner)["distance_from_init/head"] == 0
    assert measure(learner)["distance_from_init/head"] == 0
    before = parameters(learner.model)
    train(learner, 1)
    learnt = {name: p - before[name] for name, p in parameters(learner.model).items() if name.startswith("head.new.")}
    assert norm(learnt) > 0
    assert measure(learner)["distance_from_init/head"] == pytest.approx(norm(learnt), rel=1e-5)


def test_it_only_looks() -> None:
    assert_it_only_looks(DistanceFromInit(when=Always()))
