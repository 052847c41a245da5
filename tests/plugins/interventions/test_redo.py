"""ReDo: dormant units come back to life, nothing is different on the batch, and nothing else is touched."""

from typing import Literal

import pytest
import torch
from torch import nn

from plastic.core.edits import Overwrite
from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.learning.learner import Learner
from plastic.core.recipes.options import build
from plastic.core.schedule import Always, At, Every, Never
from plastic.core.units.activations import activations
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.redo import ReDo
from plastic.plugins.probes.dormant_units import DormantUnits
from plastic.testing.invariants import faults
from tests.plugins.learners import differences, measure, moments, parameters, rainbow, state, train
from tests.plugins.recyclable import (
    LEARNERS,
    apply,
    entries_of,
    everything,
    outputs,
    plain,
    silence,
    touched,
    twins,
    updated,
)

DEAD = {
    "plain": {"0": (1, 6), "2": (3,)},
    "rainbow": {"encoder.2": (0, 5), "encoder.4": (7, 63), "head.value.0": (2,)},
    "twin critics": {"encoder.3": (2,), "head.0": (1, 4, 8), "head.2": (6,)},
}
every_learner = pytest.mark.parametrize("name", LEARNERS)


def redo(**options: object) -> ReDo:
    return ReDo(tau=0.0, when=Never(), **options)  # type: ignore[arg-type]


def dormant(name: str, plugin: ReDo) -> Learner:
    """A trained learner, and some units that never fire."""
    learner = updated(LEARNERS[name](plugin))
    for layer, units in DEAD[name].items():
        silence(learner, layer, *units)
    return learner


def dead(name: str, learner: Learner) -> dict[str, tuple[int, ...]]:
    """The units that give 0 for the whole batch: those of DEAD, and others that were born so."""
    batch = learner.objective.sample(torch.Generator().manual_seed(0))
    learner.model.eval()
    found = {
        units.layer: tuple((values == 0).transpose(0, 1).flatten(1).all(1).nonzero().flatten().tolist())
        for units, values in activations(learner.model, learner.objective.inputs(batch)).items()
    }
    learner.model.train()
    assert all(set(units) <= set(found[layer]) for layer, units in DEAD[name].items())
    return found


def masks(name: str, learner: Learner) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """All incoming and all outgoing entries of the dead units."""
    incoming: dict[str, torch.Tensor] = {}
    outgoing: dict[str, torch.Tensor] = {}
    for layer, units in dead(name, learner).items():
        for of, found in zip((incoming, outgoing), entries_of(learner, layer, *units), strict=True):
            for parameter, mask in found.items():
                of[parameter] = of[parameter] | mask if parameter in of else mask
    return incoming, outgoing


@every_learner
def test_what_it_writes_is_what_the_paper_says_and_nothing_else_is_touched(name: str) -> None:
    learner = dormant(name, plugin := redo())
    incoming, outgoing = masks(name, learner)
    fresh = parameters(learner._subject(plugin, lambda: None).fresh())
    before, gave = everything(learner), outputs(learner)
    apply(learner, plugin)
    after = everything(learner)
    torch.testing.assert_close(outputs(learner), gave)  # units that never fire: nothing is different on this batch
    for parameter in incoming.keys() | outgoing.keys():
        nothing = torch.zeros_like(fresh[parameter], dtype=torch.bool)
        into, out_of = incoming.get(parameter, nothing), outgoing.get(parameter, nothing)
        expected = torch.where(into, fresh[parameter], before[f"model/{parameter}"])
        if parameter.endswith(("bias", "bias_mu")):
            expected = expected.masked_fill(into, 0)
        assert torch.equal(after[f"model/{parameter}"], expected.masked_fill(out_of, 0)), parameter
        for moment in ("exp_avg", "exp_avg_sq"):
            key = f"{moment}/{parameter}"
            assert torch.equal(after[key], before[key].masked_fill(into | out_of, 0))
    allowed = incoming.keys() | outgoing.keys()
    for key in touched(before, after):
        kind, parameter = key.split("/")
        assert kind in ("model", "exp_avg", "exp_avg_sq"), key  # neither a copy nor a step count
        assert parameter in allowed
    assert faults(learner) == []


def test_what_is_both_incoming_and_outgoing_becomes_zero() -> None:
    learner = dormant("plain", plugin := redo())
    apply(learner, plugin)
    weight = parameters(learner.model)["2.weight"]
    assert weight[3, [1, 6]].tolist() == [0.0, 0.0]
    assert (weight[3, [0, 2, 3, 4, 5, 7]] != 0).all()


@every_learner
def test_it_lowers_dormancy(name: str) -> None:
    probe = DormantUnits(tau=(0.0,), when=Always())
    learner = updated(LEARNERS[name](plugin := redo(), probe))
    at_rest = measure(learner)["dormant_units/total/tau=0"]
    for layer, units in DEAD[name].items():
        silence(learner, layer, *units)
    assert measure(learner)["dormant_units/total/tau=0"] > at_rest
    apply(learner, plugin)
    assert measure(learner)["dormant_units/total/tau=0"] <= at_rest
    updated(learner)


def test_recycled_units_learn() -> None:
    learner = dormant("plain", redo())
    apply(learner, learner.plugins[0])  # type: ignore[arg-type]
    before = parameters(learner.model)
    updated(learner, 3)
    now = parameters(learner.model)
    assert (now["2.weight"][[0, 1, 2, 4, 5]][:, [1, 6]] != 0).any()  # the next layer has begun to read them
    assert not torch.equal(now["0.weight"][[1, 6]], before["0.weight"][[1, 6]])


def test_nothing_dormant_nothing_written_not_even_a_fresh_network_is_made() -> None:
    made = []

    def make() -> nn.Module:
        made.append(1)
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))

    learner = updated(plain(plugin := redo(), make=make))
    before, number = state(learner), len(made)
    assert apply(learner, plugin) == []
    assert differences(before, state(learner)) == set()
    assert len(made) == number


def sizes(*given: float) -> Learner:
    """A layer whose units have these sizes for every input."""

    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(4, len(given)), nn.ReLU(), nn.Linear(len(given), 2))
        with torch.no_grad():
            model.get_parameter("0.weight").zero_()
            model.get_parameter("0.bias").copy_(torch.tensor(given))
        return model

    return plain(make=make)


@pytest.mark.parametrize(
    ("tau", "expected"),
    [(0.0, [True, False, False, False]), (0.1, [True, True, False, False]), (0.4, [True, True, True, False])],
)
def test_a_unit_is_dormant_up_to_the_threshold(tau: float, expected: list[bool]) -> None:
    learner = sizes(0.0, 0.3, 1.6, 14.1)  # over their mean of 4
    before = parameters(learner.model)["2.weight"]
    apply_to = ReDo(tau=tau, when=Never())
    learner.plugins = (apply_to,)
    apply(learner, apply_to)
    assert (parameters(learner.model)["2.weight"] != before).all(0).tolist() == expected


@pytest.mark.parametrize("style", ["output", "input"])
def test_with_crelu_a_unit_is_recycled_by_the_mean_of_both_halves(style: Literal["output", "input"]) -> None:
    learner = plain(ConcatenatedReLU(style=style), plugin := ReDo(tau=0.01, when=Never()))
    width = parameters(learner.model)["0.bias"].numel()
    with torch.no_grad():
        learner.params["0.weight"][1] *= 1e-4
        learner.params["0.bias"][1] *= 1e-4
        learner.params["0.bias"][2] = 100.0  # only one of its halves ever fires
        learner.params["0.weight"][0] = learner.params["0.weight"][0].abs() * 100
    before = parameters(learner.model)
    apply(learner, plugin)
    columns = (parameters(learner.model)["2.weight"] == 0).all(0).nonzero().flatten().tolist()
    changed = (parameters(learner.model)["0.weight"] != before["0.weight"]).any(1).nonzero().flatten().tolist()
    assert 1 in changed
    assert 2 not in changed
    assert columns == sorted([unit + half for unit in changed for half in (0, width)])


def test_everything_of_rainbow_at_once() -> None:
    learner = updated(
        rainbow(
            plugin := ReDo(tau=0.5, when=Never()),
            ConcatenatedReLU(),
            LayerNorm(),
            PlasticityInjection(when=At(1)),
        ),
        3,
    )
    before = everything(learner)
    apply(learner, plugin)
    changed = {key.split("/")[1] for key in touched(before, everything(learner))}
    old = {name for name in changed if name.startswith(("head.old", "head.new_frozen"))}
    # the frozen heads read the encoder, and no units of their own are exchanged
    assert old == {name for name in old if ".0.weight" in name}
    assert old
    assert any("head.new.value.0.bias_sigma" in name for name in changed)
    assert any(name.startswith("head.new.value.1.0.") for name in changed)  # the norms' scales and shifts
    assert faults(learner) == []
    updated(learner, 2)
    assert faults(learner) == []


def test_of_twin_critics_only_the_member_that_has_the_dormant_unit_changes() -> None:
    learner = updated(twins(plugin := redo()))
    with torch.no_grad():
        learner.params["trunk.0.weight"].mul_(0.01)
        for name in ("head.0", "head.2"):
            learner.params[f"{name}.bias"].fill_(5.0)  # all fire
    silence(learner, "head.0", 7)
    before = parameters(learner.model)
    apply(learner, plugin)
    now = parameters(learner.model)
    for name in ("head.0.weight", "head.0.bias", "head.2.weight"):
        assert torch.equal(now[name][0], before[name][0])
        assert not torch.equal(now[name][1], before[name][1])


# ------------------------------------------------------------------ options


def biases(learner: Learner) -> list[float]:
    found: list[float] = parameters(learner.model)["0.bias"][[1, 6]].tolist()
    return found


def test_the_bias_is_drawn_anew_if_asked() -> None:
    apply(learner := dormant("plain", zero := redo()), zero)
    assert biases(learner) == [0.0, 0.0]
    apply(learner := dormant("plain", fresh := redo(bias="fresh")), fresh)
    assert all(0 < abs(bias) <= 0.5 for bias in biases(learner))


def test_moments_are_kept_and_step_counts_cleared_if_asked() -> None:
    learner = dormant("plain", plugin := redo(moments="keep", step="clear"))
    before = moments(learner, "0.weight")
    apply(learner, plugin)
    now = moments(learner, "0.weight")
    assert torch.equal(now["exp_avg"], before["exp_avg"])
    assert (float(before["step"]), float(now["step"])) == (2.0, 0.0)
    assert float(moments(learner, "4.bias")["step"]) == 2.0  # none of its entries was written


@pytest.mark.parametrize("copies", ["none", "all"])
def test_the_target_is_written_if_asked(copies: Literal["none", "all"]) -> None:
    learner = dormant("rainbow", plugin := redo(copies=copies))
    before = parameters(learner.copies["target"])
    apply(learner, plugin)
    now, ours = parameters(learner.copies["target"]), parameters(learner.model)
    changed = {name for name in before if not torch.equal(before[name], now[name])}
    assert bool(changed) == (copies == "all")
    for name in changed:
        assert torch.equal(now[name][now[name] != before[name]], ours[name][now[name] != before[name]])


def test_layers_selects() -> None:
    learner = dormant("rainbow", plugin := redo(layers="encoder.4"))
    before = everything(learner)
    apply(learner, plugin)
    changed = {key.split("/")[1] for key in touched(before, everything(learner))}
    assert changed == {"encoder.4.weight", "encoder.4.bias"} | {
        f"head.{stream}.0.weight_{kind}" for stream in ("value", "advantage") for kind in ("mu", "sigma")
    }


def test_when_it_is_due() -> None:
    learner = plain(ReDo(tau=1e9, when=Every(2)))
    train(learner, 1)
    first = moments(learner, "0.weight")
    train(learner, 1)
    assert first["exp_avg"].any()
    assert not moments(learner, "0.weight")["exp_avg"].any()  # all units recycled
    train(learner, 1)
    assert ReDo().when == Every(1_000)


def test_layers_that_are_not_there_are_refused_at_the_start() -> None:
    with pytest.raises(NothingToActOn, match="redo: no hidden layer that learns matches layers=nowhere"):
        plain(ReDo(layers="nowhere"))
    with pytest.raises(NothingToActOn, match="redo: no hidden layer"):
        plain(ReDo(), make=lambda: nn.Linear(4, 2))


@pytest.mark.parametrize("options", [{"tau": -0.1}, {"bias": "small"}, {"copies": "target"}, {"step": "reset"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"^redo: "):
        build(ReDo, options, "redo")


# ------------------------------------------------------------------ runs


@every_learner
def test_a_run_is_the_same_again_and_another_with_another_seed(name: str) -> None:
    def run(seed: int) -> dict[str, object]:
        torch.manual_seed(0)
        return state(updated(LEARNERS[name](ReDo(tau=0.6, when=Every(1)), seed=seed), 3))

    one = run(1)
    assert differences(one, run(1)) == set()
    assert differences(one, run(2))


def test_the_edits_are_one_for_each_parameter() -> None:
    learner = dormant("rainbow", plugin := redo())
    edits: list[Overwrite] = apply(learner, plugin)
    names = [edit.name for edit in edits]
    assert len(names) == len(set(names))
    assert all(edit.where is not None and edit.where.any() for edit in edits)
