"""Dropout: where it stands, when it drops, and that a run with it goes on exactly."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.core.edits import Edit
from plastic.core.errors import NothingToActOn
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import Dropout as Mask
from plastic.core.layers.dropout import masks
from plastic.core.learning.learner import Learner
from plastic.core.learning.mask_streams import MaskStreams
from plastic.core.recipes.options import build
from plastic.core.recipes.recipe import Chosen
from plastic.core.schedule import Always
from plastic.core.subject import Subject
from plastic.core.units.unit_graph import unit_graph
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.dropout import Dropout
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.modifiers.sam import SAM
from plastic.testing.compare import same
from plastic.testing.invariants import faults
from plastic.testing.trial import WARM
from plastic.testing.trial import Trial as Control
from tests.core.layers.critics import Actor, Critic, pair
from tests.plugins.learners import network, parameters, rainbow, train
from tests.trial import Trial


def behind(model: nn.Module, layer: str) -> list[str]:
    """The kinds of what runs behind a layer, up to its activation."""
    units = next(units for units in unit_graph(model) if units.layer == layer)
    seen: list[str] = []
    handles = [
        module.register_forward_hook(lambda module, given, output: seen.append(type(module).__name__))
        for path, module in model.named_modules()
        if path == layer or isinstance(module, Mask | nn.LayerNorm) or path == units.activation
    ]
    model(torch.rand(2, 4, 36, 36))
    for handle in handles:
        handle.remove()
    start = seen.index(type(model.get_submodule(layer)).__name__)
    return seen[start : start + 4]


@pytest.mark.parametrize("order", [1, -1])
def test_a_mask_stands_between_the_layer_and_its_norm(order: int) -> None:
    model = network()
    for plugin in (LayerNorm(layers="head"), Dropout())[::order]:
        model = plugin.build(model)
    assert behind(model, "head.advantage.0") == ["NoisyLinear", "Dropout", "LayerNorm", "ReLU"]
    assert {units.layer: len(units.norms) for units in unit_graph(model) if units.norms} == {
        "head.advantage.0": 1,
        "head.value.0": 1,
    }
    assert sum(isinstance(module, Mask) for module in model.modules()) == 2


@pytest.mark.parametrize(("layers", "count"), [("whole", 5), ("encoder", 3), ("head.value", 1)])
def test_layers_selects_by_path_and_p_is_theirs(layers: str, count: int) -> None:
    model = Dropout(p=0.25, layers=layers).build(network())
    found = [module.p for module in model.modules() if isinstance(module, Mask)]
    assert found == [0.25] * count
    assert parameters(model).keys() == parameters(network()).keys()


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="dropout: no hidden layer matches layers=trunk"):
        Dropout(layers="trunk").build(network())
    for p in (1.0, -0.1):
        with pytest.raises(ValueError, match="p must be at least 0 and below 1"):
            Dropout(p=p)
    assert build(Dropout, {"p": 0.0}, "dropout").p == 0


def test_acting_and_looking_see_the_whole_network() -> None:
    """An agent may act in training mode: its noisy layers explore."""
    model, plain = Dropout(p=0.5).build(network()), network()
    plain.load_state_dict(dict(zip(plain.state_dict(), model.state_dict().values(), strict=True)))
    images = torch.rand(3, 4, 36, 36)
    for training in (True, False):
        assert torch.equal(model.train(training)(images), plain.train(training)(images))
    with masks(MaskStreams(0, "any").of("loss", 0)):
        assert not torch.equal(model.train()(images), plain.train()(images))
        assert torch.equal(model.eval()(images), plain.eval()(images))


@frozen(eq=False)
class Looks(PlasticityIntervention):
    """Compares the model with itself while it looks."""

    name = "looks"
    when: Any = Always()

    def edits(self, subject: Subject) -> Iterable[Edit]:
        for one in (subject.model, *subject.copies.values()):
            assert not any(module.training for module in one.modules())
        assert torch.equal(subject.loss(subject.model), subject.loss(subject.model))
        return ()


def test_it_drops_in_the_loss_and_in_both_networks_of_the_target() -> None:
    learner = rainbow(Dropout(p=0.5), Looks(), recorded=True)
    plain = rainbow(recorded=True)
    train(learner, 2)
    train(plain, 2)
    assert faults(learner) == []
    ours, theirs = learner.objective, plain.objective
    assert ours.evaluated[0]["target"].shape == theirs.evaluated[0]["target"].shape  # type: ignore[attr-defined]
    assert not torch.equal(ours.evaluated[0]["target"], theirs.evaluated[0]["target"])  # type: ignore[attr-defined]
    assert all(module.training for module in learner.copies["target"].modules())


@pytest.mark.parametrize("redraw", ["none", "noise"])
def test_sams_passes_have_one_mask_unless_noise_is_redrawn(redraw: str) -> None:
    """Without a radius and new noise, SAM is Adam: bit for bit."""
    ours = rainbow(Dropout(p=0.5), SAM(rho=0.0, redraw=redraw))
    plain = rainbow(Dropout(p=0.5))
    for learner in (ours, plain):
        train(learner, 3)
    assert same(parameters(ours.model), parameters(plain.model)) == (redraw == "none")


def test_each_member_has_masks_of_its_own() -> None:
    torch.manual_seed(0)
    model = Dropout(p=0.5).build(Critic())
    for layer in ("head.0", "head.2"):
        weights = model.get_submodule(layer)
        with torch.no_grad():
            for parameter in weights.parameters():
                parameter[1] = parameter[0]
    seen: list[Tensor] = []
    model.get_submodule("head.1.0").register_forward_hook(lambda module, given, output: seen.append(output))
    with masks(MaskStreams(0, "any").of("loss", 0)):
        model(*pair())
    (values,) = seen
    dropped = values == 0
    assert not torch.equal(dropped[:, 0], dropped[:, 1])
    alike = ~dropped[:, 0] & ~dropped[:, 1]
    assert torch.equal(values[:, 0][alike], values[:, 1][alike])


def test_of_an_actor_too_and_with_crelu() -> None:
    model = Dropout(p=0.5).build(ConcatenatedReLU().build(Actor()))
    assert [units.layer for units in unit_graph(model)] == ["trunk.0", "head.0", "head.2"]
    assert sum(isinstance(module, Mask) for module in model.modules()) == 2


def test_a_run_of_rainbow_goes_on_exactly() -> None:
    def begin() -> Trial:
        return Trial([Dropout(p=0.3), SAM(rho=0.05)], augmentation=True).warm_up()

    straight = begin().run(4)
    torch.manual_seed(99)
    stopped = begin().run(2)
    torch.rand(3)
    resumed = Trial([Dropout(p=0.3), SAM(rho=0.05)], augmentation=True).load(stopped.save()).run(4)
    assert same(parameters(straight.learner.model), parameters(resumed.learner.model))
    assert straight.actions[-2:] == resumed.actions[-2:]


def test_on_an_actor_critic_it_goes_to_the_critic_and_drops_for_the_actor_too() -> None:
    trial = Control("drq", [Chosen("dropout", {"p": 0.5})])

    def holding(learner: Learner) -> int:
        return sum(isinstance(module, Mask) for module in learner.model.modules())

    assert {name: holding(learner) for name, learner in trial.learners.items()} == {
        "critic": 2,
        "actor": 0,
        "temperature": 0,
    }
    seen: list[bool] = []
    mask = trial.learners["critic"].model.get_submodule("head.1.0")
    mask.register_forward_hook(lambda module, given, output: seen.append(bool((output == 0).any())))
    trial.warm_up().run(WARM)
    assert seen == [True, True]  # the critic's loss, and the actor's
