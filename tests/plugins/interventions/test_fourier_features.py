"""Deep Fourier features: their values, why they stay trainable, and widths as CReLU's."""

from functools import partial

import pytest
import torch
from torch import nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers.resize import width
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.schedule import Always
from plastic.core.units.unit_graph import unit_graph
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.fourier_features import Fourier, FourierFeatures
from plastic.plugins.probes.active_units import ActiveUnits
from plastic.plugins.probes.dormant_units import DormantUnits
from plastic.testing.invariants import faults
from tests.core.layers.critics import Actor, Critic, pair
from tests.plugins.learners import ACTIONS, ATOMS, measure, network, rainbow, train

make = partial(network, image=(4, 44, 44))
IMAGES = torch.rand(3, 4, 44, 44, generator=torch.Generator().manual_seed(0))


def kinds(model: nn.Module) -> dict[str, str]:
    return {units.layer: type(model.get_submodule(units.activation)).__name__ for units in unit_graph(model)}


def test_the_values_are_sine_and_cosine() -> None:
    x = torch.tensor([[0.0, torch.pi / 2], [torch.pi, -torch.pi / 2]])
    torch.testing.assert_close(Fourier()(x), torch.tensor([[0.0, 1, 1, 0], [0, -1, -1, 0]]), atol=1e-6, rtol=0)
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Fourier()(images), torch.cat((images.sin(), images.cos()), 1))
    assert Fourier(-1)(torch.zeros(5, 2, 3)).shape == (5, 2, 6)
    assert repr(Fourier(-1)) == "Fourier(axis=-1)"


def test_no_unit_ever_saturates() -> None:
    """At any input the slopes of the two halves have squares that sum to one; a ReLU's may both be zero."""
    x = torch.linspace(-50, 50, 999).unsqueeze(1).requires_grad_()
    slopes = [torch.autograd.grad(Fourier()(x)[:, half].sum(), x)[0] for half in range(2)]
    torch.testing.assert_close(slopes[0] ** 2 + slopes[1] ** 2, torch.ones(999, 1))


@pytest.mark.parametrize("style", ["output", "input"])
@pytest.mark.parametrize("layers", ["whole", "head", "encoder.2"])
def test_widths_are_those_of_crelu(style: str, layers: str) -> None:
    ours = FourierFeatures(layers, style).build(make())  # type: ignore[arg-type]
    theirs = ConcatenatedReLU(layers, style).build(make())  # type: ignore[arg-type]
    assert [(name, p.shape) for name, p in ours.named_parameters()] == [
        (name, p.shape) for name, p in theirs.named_parameters()
    ]
    replaced = {layer for layer, kind in kinds(ours).items() if kind == "Fourier"}
    assert replaced == {layer for layer, kind in kinds(theirs).items() if kind == "CReLU"}
    assert ours(IMAGES).shape == (3, ACTIONS, ATOMS)


def test_of_twin_critics_and_their_actor_every_relu_is_replaced_and_the_tanh_stays() -> None:
    model = FourierFeatures().build(Critic())
    axes = {path: module.axis for path, module in model.named_modules() if isinstance(module, Fourier)}
    assert axes == {"encoder.2": 1, "encoder.4": 1, "head.1": -1, "head.3": -1}
    assert model(*pair()).shape == (16, 2)
    actor = FourierFeatures(style="input").build(Actor())
    assert kinds(actor) == {"trunk.0": "Tanh", "head.0": "Fourier", "head.2": "Fourier"}
    assert [width(actor.get_submodule(f"head.{place}")) for place in (0, 2, 4)] == [(5, 6), (12, 6), (12, 4)]


def test_probes_know_that_a_unit_gives_two_numbers_and_is_never_off() -> None:
    learner = rainbow(
        FourierFeatures(layers="head"), ActiveUnits(when=Always()), DormantUnits(tau=(0.0,), when=Always())
    )
    train(learner, 1)
    measured = measure(learner)
    assert {key for key in measured if key.startswith("active_units")} == {
        f"active_units/{key}" for key in ("encoder", "total", "alive/encoder", "alive/total")
    }
    plugin = learner.plugins[2]
    assert isinstance(plugin, DormantUnits)
    assert plugin.layers_before.endswith("head.value.0:8")  # 16 numbers
    assert measured["dormant_units/head/tau=0"] == 0
    assert faults(learner) == []


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="fourier_features: no hidden layer matches layers=trunk"):
        FourierFeatures(layers="trunk").build(make())
    with pytest.raises(UsageError, match="has 15 units, which cannot be halved; use style=input"):
        FourierFeatures(layers="head").build(make(hidden=15))
    with pytest.raises(NothingToActOn, match=r"fourier_features replaces ReLU, and the hidden layers .* have Tanh"):
        FourierFeatures().build(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    with pytest.raises(UsageError, match="'crelu' and 'fourier_features' both claim the activation"):
        refuse_conflicts([Addressed({"rainbow": ConcatenatedReLU()}), Addressed({"rainbow": FourierFeatures()})])
