"""Saturated units, by hand; a network that has none to count is refused."""

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.learning.learner import Learner
from plastic.core.schedule import Always
from plastic.plugins.probes.saturated_units import SaturatedUnits
from tests.plugins.learners import Parts, learner_of, linear, measure, rainbow, state, train
from tests.plugins.probes import critics


def probed(model: nn.Module, inputs: Tensor) -> Learner:
    return learner_of(lambda: model, inputs, None, SaturatedUnits(when=Always()))


def test_by_hand() -> None:
    """tanh saturates beyond 2.647, a sigmoid beyond 4.595."""
    encoder = nn.Sequential(linear([[1.0], [-1.0]]), nn.Tanh())
    head = nn.Sequential(linear([[2.0, 0.0]]), nn.Sigmoid(), linear([[1.0]]), nn.ReLU(), linear([[1.0]]))
    inputs = torch.tensor([[2.6], [2.7], [0.0], [-9.0]])
    measured = measure(probed(Parts(encoder, head), inputs))
    # encoder: both units at 2.7 and at -9; head: 2 tanh(x) is 1.98 at the most
    assert measured == {
        "saturated_units/encoder": 4 / 8,
        "saturated_units/head": 0.0,
        "saturated_units/total": pytest.approx(4 / 12),
    }


@pytest.mark.parametrize(("x", "share"), [(4.5, 0.0), (4.7, 1.0), (-4.5, 0.0), (-4.7, 1.0)])
def test_both_ends_of_a_sigmoid(x: float, share: float) -> None:
    encoder = nn.Sequential(linear([[1.0]]), nn.Sigmoid())
    assert measure(probed(Parts(encoder, linear([[1.0]])), torch.tensor([[x]])))["saturated_units/encoder"] == share


def test_the_trunk_of_critics_counts_and_their_relus_do_not() -> None:
    model = critics.critic()
    measured = critics.probed(model, SaturatedUnits(when=Always()))
    assert measured.keys() == {"saturated_units/trunk", "saturated_units/total"}
    with torch.no_grad():
        model.get_parameter("trunk.1.weight").fill_(100.0)  # the norm in front of the tanh
    assert critics.probed(model, SaturatedUnits(when=Always()))["saturated_units/trunk"] > 0.9


def test_a_network_of_relus_is_refused_at_the_start() -> None:
    with pytest.raises(NothingToActOn, match="saturated_units: no hidden layer ends in a tanh or a sigmoid"):
        rainbow(SaturatedUnits())


def test_it_only_looks() -> None:
    def make(*plugins: SaturatedUnits) -> Learner:
        torch.manual_seed(0)
        model = Parts(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), nn.Linear(3, 1))
        return learner_of(lambda: model, torch.ones(4, 2), None, *plugins)

    learner, without = make(SaturatedUnits(when=Always())), make()
    train(learner, 3)
    train(without, 3)
    one, other = state(learner), state(without)
    assert {name for name in one if isinstance(one[name], Tensor) and not torch.equal(one[name], other[name])} == set()
