"""Pruning: what is dormant at the checks is cut, nothing changes by that, and nothing brings it back."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers import UnitMask
from plastic.core.learning.learner import Learner
from plastic.core.learning.plugin_state import plugin_state
from plastic.core.recipes.options import build
from plastic.core.schedule import At, Every, Never
from plastic.core.units.activations import activations
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.prune_dormant import PruneDormant
from plastic.plugins.interventions.redo import ReDo
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.swa import SWA
from plastic.testing.invariants import faults
from tests.plugins.learners import differences, parameters, rainbow, state, train
from tests.plugins.recyclable import INPUTS, LEARNERS, apply, entries_of, outputs, plain, silence, twins, updated

DEAD = {
    "plain": {"0": (1, 6), "2": (3,)},
    "rainbow": {"encoder.2": (0, 5), "head.value.0": (2,)},
    "twin critics": {"encoder.3": (2,), "head.0": (1, 4, 8)},
}
every_learner = pytest.mark.parametrize("name", LEARNERS)


def prune(**options: Any) -> PruneDormant:
    return PruneDormant(**{"checks": 1, "when": Never(), **options})


def masks(learner: Learner, copy: str = "") -> dict[str, list[int]]:
    """The units that are cut, by the path of their mask."""
    model = learner.copies[copy] if copy else learner.model
    found = {path: module for path, module in model.named_modules() if isinstance(module, UnitMask)}
    return {path: (mask.kept == 0).nonzero().flatten().tolist() for path, mask in found.items()}


def cut(learner: Learner) -> dict[str, list[int]]:
    return {path: units for path, units in masks(learner).items() if units}


def alive(learner: Learner) -> None:
    """All units of the plain network fire."""
    with torch.no_grad():
        for layer in ("0", "2"):
            learner.params[f"{layer}.bias"].fill_(20.0)


def wake(learner: Learner, layer: str, *units: int) -> None:
    """Weights by which these units would fire at anything."""
    with torch.no_grad():
        for name, mask in entries_of(learner, layer, *units)[0].items():
            learner.model.get_parameter(name).masked_fill_(mask, 0.0 if name.endswith("weight") else 5.0)


@every_learner
def test_dormant_units_are_cut_nothing_changes_and_the_others_are_kept(name: str) -> None:
    learner = updated(LEARNERS[name](plugin := prune()))
    assert cut(learner) == {}
    for layer, units in DEAD[name].items():
        silence(learner, layer, *units)
    gave, before = outputs(learner), parameters(learner.model)
    with learner._looking(plugin):
        batch = learner.objective.sample(torch.Generator().manual_seed(0))
        values = activations(learner.model, learner.objective.inputs(batch))
    dormant = {
        units.layer: (value == 0).transpose(0, 1).flatten(1).all(1).nonzero().flatten().tolist()
        for units, value in values.items()
    }
    apply(learner, plugin)
    activation_of = {units.layer: units.activation for units in values}
    found = {layer: masks(learner).get(activation_of[layer].rpartition(".")[0] + ".0", []) for layer in dormant}
    never_dormant = {"trunk.0"} if name == "twin critics" else set()  # behind a tanh
    assert {layer: units for layer, units in found.items() if layer not in never_dormant} == {
        layer: units for layer, units in dormant.items() if layer not in never_dormant
    }
    for layer, units in DEAD[name].items():
        assert set(units) <= set(found[layer])
    assert torch.equal(outputs(learner), gave)
    assert all(torch.equal(value, before[key]) for key, value in parameters(learner.model).items())
    for copy in learner.copies:
        assert masks(learner, copy) == masks(learner)
    assert faults(learner) == []


def test_a_cut_unit_is_silent_whatever_its_weights() -> None:
    learner = plain(plugin := prune())
    alive(learner)
    silence(learner, "0", 3)
    apply(learner, plugin)
    wake(learner, "0", 3)
    values = {units.layer: value for units, value in activations(learner.model, (INPUTS,)).items()}["0"]
    assert not values[:, 3].any()
    assert values[:, [0, 1, 2, 4, 5, 6, 7]].any(0).all()


def test_only_the_member_that_has_it_loses_it() -> None:
    learner = twins(plugin := prune(layers="head.0"))
    with torch.no_grad():
        learner.params["head.0.bias"].fill_(20.0)
    silence(learner, "head.0", 7)
    apply(learner, plugin)
    assert cut(learner) == {"head.1.0": [7]}


@pytest.mark.parametrize("style", ["output", "input"])
def test_with_crelu_a_unit_is_dormant_only_if_both_halves_are(style: Literal["output", "input"]) -> None:
    learner = plain(prune_it := prune(layers="0"), ConcatenatedReLU(style=style))
    silence(learner, "0", 1)  # far below 0, where its other half is
    with torch.no_grad():
        learner.params["0.weight"][2] = 0.0
        learner.params["0.bias"][2] = 0.0
    apply(learner, prune_it)
    assert cut(learner) == {"1.0": [2]}


# ------------------------------------------------------------------ for good


def test_it_stays_cut_through_training_decay_resets_and_all() -> None:
    plugin = prune(when=At(1))
    learner = rainbow(
        LayerNorm(),
        plugin,
        L2(strength=0.1),
        SWA(when=Every(1)),
        Reset(layers="head", when=Every(2)),
        ShrinkPerturb(when=Every(2)),
        ReDo(tau=0.5, when=Every(3)),
    )
    for layer, units in (("encoder.2", (0, 5)), ("head.value.0", (2,))):
        silence_behind_norm(learner, layer, *units)
    train(learner, 1)
    gone = cut(learner)
    assert {0, 5} <= set(gone["encoder.3.1.0"])
    assert 2 in gone["head.value.1.1.0"]
    weights = parameters(learner.model)
    train(learner, 4)
    assert cut(learner) == gone
    assert {path: units for path, units in masks(learner, "target").items() if units} == gone
    now = parameters(learner.model)
    assert not torch.equal(now["head.value.0.weight_mu"][2], weights["head.value.0.weight_mu"][2])  # it was redrawn
    inputs = learner.objective.inputs(learner.objective.sample(torch.Generator()))
    for model in (learner.model, learner.copies["target"], learner.copies["swa"]):
        model.requires_grad_(True)
        values = {units.layer: value for units, value in activations(model, inputs).items()}
        assert not values["encoder.2"][:, [0, 5]].any()
        assert not values["head.value.0"][:, 2].any()
    learner.copies["target"].requires_grad_(False)
    learner.copies["swa"].requires_grad_(False)
    assert faults(learner) == []


def silence_behind_norm(learner: Learner, layer: str, *units: int) -> None:
    """A norm would bring back what a bias holds down, so its scale and shift do it."""
    with torch.no_grad():
        for name, mask in entries_of(learner, layer, *units)[0].items():
            if not name.startswith(f"{layer}."):
                value = 0.0 if name.endswith("weight") else -1.0
                learner.model.get_parameter(name).masked_fill_(mask, value)


def test_a_fresh_network_has_the_structure_and_no_cuts() -> None:
    learner = plain(plugin := prune())
    silence(learner, "0", 3)
    apply(learner, plugin)
    fresh = learner._subject(plugin, lambda: None).fresh()
    assert fresh.state_dict().keys() == learner.model.state_dict().keys()
    assert fresh.get_buffer("1.0.kept").all()


def test_the_places_that_were_cut_are_cut_in_an_injected_head_too() -> None:
    learner = rainbow(prune(when=At(1)), PlasticityInjection(when=At(2)))
    silence(learner, "head.value.0", 2)
    train(learner, 3)
    heads = {path: units for path, units in cut(learner).items() if "value" in path}
    assert set(heads) == {f"head.{which}.value.1.0" for which in ("old", "new", "new_frozen")}
    assert all(2 in units for units in heads.values())
    assert faults(learner) == []


# ------------------------------------------------------------------ which checks


def checked(pattern: str, **options: Any) -> bool:
    """Whether a unit that is dormant (0) or not (1) at these checks is cut in the end."""
    learner = plain(plugin := prune(layers="0", **options))
    for letter in pattern:
        alive(learner)
        if letter == "0":
            silence(learner, "0", 3)
        apply(learner, plugin)
    assert cut(learner) in ({}, {"1.0": [3]})
    return bool(cut(learner))


@pytest.mark.parametrize(
    ("pattern", "checks", "in_a_row", "always"),
    [("0", 1, True, True), ("0", 2, False, False), ("00", 2, True, True), ("010", 2, False, False),
     ("1000", 3, True, False), ("000", 3, True, True), ("1", 1, False, False), ("001", 2, True, True)],
)  # fmt: skip
def test_a_unit_must_be_dormant_at_so_many_checks(pattern: str, checks: int, in_a_row: bool, always: bool) -> None:
    assert checked(pattern, checks=checks) == in_a_row
    assert checked(pattern, checks=checks, dormant="always") == always


def test_the_units_of_a_layer_that_was_reset_are_watched_anew() -> None:
    learner = plain(plugin := prune(checks=2), Reset(layers="0", when=Never()))
    alive(learner)
    for layer in ("0", "2"):
        silence(learner, layer, 3)
    apply(learner, plugin)
    apply(learner, learner.plugins[1])  # type: ignore[arg-type]
    for layer in ("0", "2"):
        silence(learner, layer, 3)
    apply(learner, plugin)
    assert 3 not in masks(learner)["1.0"]
    assert 3 in masks(learner)["3.0"]


def test_two_of_them_watch_their_own_layers() -> None:
    learner = plain(first := prune(layers="0"), prune(layers="2", checks=5))
    alive(learner)
    for layer in ("0", "2"):
        silence(learner, layer, 3)
    apply(learner, first)
    assert cut(learner) == {"1.0": [3]}


def test_a_checkpoint_holds_masks_and_counts_exactly() -> None:
    def learner() -> Learner:
        torch.manual_seed(0)
        made = rainbow(PruneDormant(checks=3, when=Every(2)), PlasticityInjection(when=At(3)))
        return made

    whole, half, other = learner(), learner(), learner()
    for one in (whole, half):
        silence(one, "encoder.2", 1, 2)
    train(whole, 7)
    train(half, 5)
    assert cut(half) == {}
    other.load_state_dict(half.state_dict())
    other.clock.advance(updates=5)
    other.clock.tick()
    train(other, 2)
    assert "encoder.3.0" in cut(other)
    assert differences(state(whole), state(other)) == set()
    for name, value in plugin_state(whole.plugins[0]).items():
        again = plugin_state(other.plugins[0])[name]
        assert torch.equal(value, again) if isinstance(value, Tensor) else value == again


# ------------------------------------------------------------------ where


def test_layers_whose_units_are_never_0_are_left_out() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 3), nn.ELU(), nn.Linear(3, 2))

    learner = plain(prune(), make=make)
    assert set(masks(learner)) == {"3.0"}
    with pytest.raises(NothingToActOn, match="prune_dormant: behind the activations of layers=0 no unit can be"):
        plain(prune(layers="0"), make=make)


def test_layers_that_are_not_there_are_refused_at_the_start() -> None:
    with pytest.raises(NothingToActOn, match="prune_dormant: no hidden layer that learns matches layers=nowhere"):
        plain(prune(layers="nowhere"))


@pytest.mark.parametrize("options", [{"checks": 0}, {"dormant": "never"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"^prune_dormant: "):
        build(PruneDormant, options, "prune_dormant")
