"""Dormant units: thresholds that include themselves, CReLU's halves as one, and the overlap."""

import math

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.layers import by_member
from plastic.core.learning.learner import Learner
from plastic.core.recipes.options import build
from plastic.core.schedule import Always, At
from plastic.core.units.activations import activations
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.probes.dormant_units import DormantUnits
from tests.core.layers.critics import pair
from tests.plugins.learners import Parts, assert_it_only_looks, learner_of, linear, measure, rainbow
from tests.plugins.probes import critics

ONE = torch.ones(1, 1)


def of_sizes(encoder: list[float], head: list[float], *taus: float) -> Learner:
    """For the input 1 the layers' values are these."""
    eye = [[size] for size in encoder]
    rows = [[size] + [0.0] * (len(encoder) - 1) for size in head]
    model = Parts(
        nn.Sequential(linear(eye), nn.ReLU()),
        nn.Sequential(linear(rows), nn.ReLU(), linear([[1.0] * len(head)])),
    )
    return learner_of(lambda: model, ONE, None, DormantUnits(tau=taus, when=Always()))


def test_with_crelu_only_a_unit_that_never_moves_is_dormant() -> None:
    learner = rainbow(ConcatenatedReLU(), DormantUnits(tau=(0.0,), when=Always()))
    assert measure(learner)["dormant_units/total/tau=0"] == 0.0
    with torch.no_grad():
        learner.params["head.value.0.weight_mu"][0].zero_()
        learner.params["head.value.0.bias_mu"][0] = 0.0
    measured = measure(learner)
    assert measured["dormant_units/head/tau=0"] == 1 / 16  # two streams of eight units, sixteen entries each
    assert measured["dormant_units/encoder/tau=0"] == 0.0


def test_a_threshold_includes_itself() -> None:
    learner = of_sizes([0.0, 0.125, 0.875, 3.0], [1.0, 1.0], 0.0, 0.1, 0.125, 0.875)  # the mean is 1
    measured = measure(learner)
    shares = [measured[f"dormant_units/encoder/tau={tau}"] for tau in ("0", "0.1", "0.125", "0.875")]
    assert shares == [1 / 4, 1 / 4, 2 / 4, 3 / 4]


def test_units_are_pooled_over_a_module() -> None:
    measured = measure(of_sizes([1.0, 0.0, 0.0, 1.0], [1.0, 0.0], 0.025))
    assert measured["dormant_units/encoder/tau=0.025"] == 2 / 4
    assert measured["dormant_units/head/tau=0.025"] == 1 / 2
    assert measured["dormant_units/total/tau=0.025"] == pytest.approx(3 / 6)


def test_the_output_layer_has_no_dormant_units() -> None:
    learner = of_sizes([1.0, 1.0], [1.0, 1.0], 0.0)
    with torch.no_grad():
        learner.params["head.2.weight"].zero_()
    assert measure(learner)["dormant_units/head/tau=0"] == 0.0


def test_a_layer_that_is_all_dead_is_all_dormant() -> None:
    measured = measure(of_sizes([-1.0, 0.0, -2.0], [1.0], 0.0))
    assert measured["dormant_units/encoder/tau=0"] == 1.0
    assert measured["dormant_units/head/tau=0"] == 1.0  # nothing reaches it


def kill(learner: Learner, *dead: int) -> None:
    """These units of the encoder, and no others, give 0."""
    with torch.no_grad():
        for unit, weight in enumerate(learner.params["encoder.0.weight"]):
            weight.fill_(0.0 if unit in dead else 1.0)


def overlap(learner: Learner) -> float:
    return measure(learner)["dormant_units/overlap/encoder/tau=0"]


def test_the_overlap_is_with_the_measurement_before_over_the_smaller_set() -> None:
    learner = of_sizes([1.0] * 5, [1.0], 0.0)
    kill(learner, 3, 4)
    assert math.isnan(overlap(learner))  # there is none before
    kill(learner, 1, 2, 3)
    assert overlap(learner) == 1 / 2  # {3} of min(2, 3)
    kill(learner, 1, 2)
    assert overlap(learner) == 1.0  # {1, 2} lies within {1, 2, 3}
    kill(learner, 4)
    assert overlap(learner) == 0.0
    kill(learner)
    assert math.isnan(overlap(learner))  # none now
    kill(learner, 0)
    assert math.isnan(overlap(learner))  # none before
    kill(learner, 0)
    assert overlap(learner) == 1.0


def test_the_overlap_of_everything_is_pooled_over_modules() -> None:
    learner = of_sizes([1.0, 0.0, 1.0], [1.0, 0.0], 0.0)
    measure(learner)
    kill(learner, 2)
    measured = measure(learner)  # the head's dead unit stays, the encoder's is another one
    assert measured["dormant_units/overlap/encoder/tau=0"] == 0.0
    assert measured["dormant_units/overlap/head/tau=0"] == 1.0
    assert measured["dormant_units/overlap/total/tau=0"] == 1 / 2


def test_an_injected_head_is_another_one_although_it_has_as_many_units() -> None:
    injection, probe = PlasticityInjection(when=At(2)), DormantUnits(tau=(1000.0,), when=Always())
    learner = rainbow(injection, probe)
    measure(learner)
    assert measure(learner)["dormant_units/overlap/total/tau=1000"] == 1.0  # the probe comes before the edit
    assert injection.injections == 1
    assert math.isnan(measure(learner)["dormant_units/overlap/total/tau=1000"])
    assert measure(learner)["dormant_units/overlap/total/tau=1000"] == 1.0


def test_the_set_before_is_checkpointed() -> None:
    learner = of_sizes([1.0] * 3, [1.0], 0.0)
    kill(learner, 0)
    measure(learner)
    other = of_sizes([1.0] * 3, [1.0], 0.0)
    other.load_state_dict(learner.state_dict())
    kill(other, 0, 1)
    assert overlap(other) == 1.0


def test_the_frozen_heads_of_an_injection_are_left_out() -> None:
    learner = rainbow(PlasticityInjection(when=At(1)), DormantUnits(tau=(0.0,), when=Always()))
    measure(learner)
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if name.startswith("head") and name.endswith("0.bias_mu"):
                parameter.fill_(10.0 if name.startswith("head.new.") else -10.0)
    assert measure(learner)["dormant_units/head/tau=0"] == 0.0


@pytest.mark.parametrize("tau", [[], [-0.1], [0.0, -1.0]])
def test_thresholds_that_make_no_sense_are_refused(tau: list[float]) -> None:
    with pytest.raises(UsageError, match="dormant_units: tau must be thresholds of at least 0"):
        build(DormantUnits, {"tau": tau}, "dormant_units")


def test_it_only_looks() -> None:
    assert_it_only_looks(DormantUnits(when=Always()))


def test_a_slow_count_agrees() -> None:
    """Every unit of a random network, one by one."""
    torch.manual_seed(0)
    inputs = torch.randn(20, 3)
    model = nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 1))
    dormant = 0
    values: Tensor = inputs
    for place in (0, 2):
        with torch.no_grad():
            values = torch.relu(model[place](values))
        sizes = [sum(abs(float(values[b, u])) for b in range(20)) / 20 for u in range(values.shape[1])]
        mean = sum(sizes) / len(sizes)
        dormant += sum(size / (mean + 1e-9) <= 0.3 for size in sizes)
    measured = measure(learner_of(lambda: model, inputs, None, DormantUnits(tau=(0.3,), when=Always())))
    assert measured["dormant_units/total/tau=0.3"] == pytest.approx(dormant / 12)
    assert 0 < dormant < 12


@pytest.mark.parametrize("crelu", [False, True])
def test_each_of_twin_critics_is_measured_against_its_own_mean(crelu: bool) -> None:
    model = critics.critic()
    if crelu:
        model = ConcatenatedReLU(layers="head", style="input").build(model)
        with torch.no_grad():
            for path in ("head.0", "head.2"):
                model.get_parameter(f"{path}.weight")[0] *= 20
                model.get_parameter(f"{path}.weight")[:, 1] = 0.0
                model.get_parameter(f"{path}.bias").zero_()
    measured = critics.probed(model, DormantUnits(tau=(0.3,), when=Always()))
    dormant, against_all = 0, 0
    if crelu:
        together = {units.layer: values for units, values in activations(model, pair()).items()}
        members = {path: by_member(model.get_submodule(path), together[path]) for path in ("head.0", "head.2")}
    else:
        one, two = critics.values_one_by_one(model)
        members = {path: (one[path], two[path]) for path in ("head.0", "head.2")}
    for both in members.values():
        sizes = []
        for values in both:
            assert values.shape == (16, 12 if crelu else 6)
            halves = [values[:, :6], values[:, 6:]] if crelu else [values]
            sizes.append([sum(float(half[b, u].abs()) for b in range(16) for half in halves) for u in range(6)])
        for own in sizes:
            dormant += sum(size <= 0.3 * sum(own) / 6 for size in own)
            against_all += sum(size <= 0.3 * sum(map(sum, sizes)) / 12 for size in own)
    assert measured["dormant_units/head/tau=0.3"] == pytest.approx(dormant / 24)
    assert dormant != against_all
    assert 0 < dormant < 24
