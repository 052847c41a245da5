"""Active units: counted by hand, for linear layers and convolutions, without what is not meant."""

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.learning.learner import Learner
from plastic.core.schedule import Always, At, Every
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.probes.active_units import ActiveUnits
from tests.plugins.learners import Parts, assert_it_only_looks, learner_of, linear, measure, rainbow, train
from tests.plugins.probes import critics


def probed(model: nn.Module, inputs: Tensor) -> Learner:
    return learner_of(lambda: model, inputs, None, ActiveUnits(when=Always()))


def tiny() -> Parts:
    """For the samples (1, 2), (-1, 3): encoder (1, 2, -3), (-1, 3, -2); head (3, -0.5), (3, 0.5)."""
    encoder = nn.Sequential(linear([[1, 0], [0, 1], [-1, -1]]), nn.ReLU())
    return Parts(encoder, nn.Sequential(linear([[1, 1, 0], [-1, 0, 0]], [0, 0.5]), nn.ReLU(), linear([[1, 1]])))


SAMPLES = torch.tensor([[1.0, 2.0], [-1.0, 3.0]])


def test_by_hand() -> None:
    measured = measure(probed(tiny(), SAMPLES))
    assert measured == {
        "active_units/encoder": 3 / 6,
        "active_units/head": 3 / 4,
        "active_units/total": pytest.approx(6 / 10),  # of all entries: not the mean of the two
        "active_units/alive/encoder": pytest.approx(2 / 3),
        "active_units/alive/head": 2 / 2,
        "active_units/alive/total": pytest.approx(4 / 5),
    }


def test_an_entry_of_exactly_0_is_not_active() -> None:
    encoder = nn.Sequential(linear([[1.0], [0.0], [-1.0]]), nn.ReLU())
    measured = measure(probed(Parts(encoder, linear([[1, 1, 1]])), torch.tensor([[0.0], [1.0]])))
    assert measured["active_units/encoder"] == pytest.approx(1 / 6)


def test_a_convolutions_entries_are_pixels_and_its_units_channels() -> None:
    convolution = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        convolution.bias.copy_(torch.tensor([0.0, -1.5]))  # type: ignore[union-attr]
    images = torch.tensor([[[[1.0, -1.0], [2.0, 3.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    encoder = nn.Sequential(convolution, nn.ReLU(), nn.Flatten())
    head = nn.Sequential(linear([[1.0] * 8]), nn.ReLU(), linear([[1.0]]))
    measured = measure(probed(Parts(encoder, head), images))
    assert measured["active_units/encoder"] == 7 / 16
    assert measured["active_units/alive/encoder"] == 1 / 2
    assert measured["active_units/total"] == 9 / 18  # the head's one unit counts for little beside the pixels


def test_behind_crelu_it_is_a_half() -> None:
    learner = rainbow(ConcatenatedReLU(), ActiveUnits(when=Always()))
    train(learner, 1)
    measured = measure(learner)
    assert [measured[f"active_units/{key}"] for key in ("encoder", "head", "total")] == [0.5, 0.5, 0.5]


def test_with_a_norm_it_is_measured_behind_the_activation() -> None:
    learner = rainbow(LayerNorm(affine=False), ActiveUnits(when=Always()))
    assert 0.3 < measure(learner)["active_units/encoder"] < 0.7


def test_what_has_no_off_state_is_left_out() -> None:
    trunk = nn.Sequential(linear([[5.0], [5.0]]), nn.Tanh(), linear([[-1.0, -1.0], [1.0, 1.0]]), nn.ReLU())
    measured = measure(probed(Parts(trunk, linear([[1.0, 1.0]])), torch.ones(3, 1)))
    assert measured["active_units/encoder"] == 1 / 2


def test_the_frozen_heads_of_an_injection_are_left_out() -> None:
    learner = rainbow(PlasticityInjection(when=At(1)), ActiveUnits(when=Every(2)))
    train(learner, 1)
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if name.startswith("head") and name.endswith("0.bias_mu"):
                parameter.fill_(10.0 if name.startswith("head.new.") else -10.0)
    assert measure(learner)["active_units/head"] == 1.0


def test_noise_is_off_and_the_observations_are_not_augmented() -> None:
    plain, noisy = (rainbow(ActiveUnits(when=Always()), augmentation=augmented) for augmented in (False, True))
    with torch.no_grad():
        for name, parameter in noisy.params.items():
            if "sigma" in name:
                parameter.mul_(1000.0)
    assert measure(plain) == measure(noisy)


def test_it_only_looks() -> None:
    assert_it_only_looks(ActiveUnits(when=Always()))


def test_twin_critics_are_counted_as_the_two_they_are() -> None:
    model = critics.critic()
    measured = critics.probed(model, ActiveUnits(when=Always()))
    one, two = critics.values_one_by_one(model)
    heads = [values[layer] for values in (one, two) for layer in ("head.0", "head.2")]
    active = sum(int(values[b, u] > 0) for values in heads for b in range(16) for u in range(6))
    alive = sum(any(values[b, u] > 0 for b in range(16)) for values in heads for u in range(6))
    assert measured["active_units/head"] == pytest.approx(active / (2 * 2 * 16 * 6))
    assert measured["active_units/alive/head"] == pytest.approx(alive / 24)
    assert alive <= 24 - 6
    encoder = [one["encoder.1"], one["encoder.3"]]
    active += sum(int((values > 0).sum()) for values in encoder)
    assert measured["active_units/total"] == pytest.approx(active / (384 + sum(values.numel() for values in encoder)))
    assert {key.rsplit("/", 1)[1] for key in measured} == {"encoder", "head", "total"}  # the trunk's tanh is left out


def test_a_network_in_which_nothing_can_be_off_is_refused() -> None:
    never_off = nn.Sequential(linear([[5.0], [5.0]]), nn.Tanh(), linear([[1.0, 1.0]]))
    with pytest.raises(NothingToActOn, match="active_units: no hidden layer has an activation that can be off"):
        probed(never_off, torch.ones(2, 1))
