"""Continual backprop: the least useful of the old units, at their rate, and what they gave goes on as a bias."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.learning.learner import Learner
from plastic.core.learning.plugin_state import plugin_state
from plastic.core.recipes.options import build
from plastic.core.schedule import At, Every, Never
from plastic.core.units.unit_numbers import places
from plastic.plugins.interventions.continual_backprop import ContinualBackprop
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.testing.invariants import faults
from tests.plugins.learners import ADAM, IMAGE, differences, learner_of, moments, network, parameters, state, train
from tests.plugins.learners import rainbow as small_rainbow
from tests.plugins.recyclable import LEARNERS, apply, entries_of, everything, outputs, plain, twins, updated, wires_of

every_learner = pytest.mark.parametrize("name", LEARNERS)


def eager(**options: Any) -> ContinualBackprop:
    """One that replaces half of the units of each layer at once."""
    return ContinualBackprop(**{"rate": 0.5, "maturity": 0, "when": Never(), **options})


def after_one(learner: Learner, plugin: ContinualBackprop) -> dict[str, list[int]]:
    """Look one update after the last look; the units that were replaced, by layer."""
    plugin.looked = learner.clock.now.updates
    learner.clock.advance(updates=1)
    apply(learner, plugin)
    assert plugin.ages is not None
    found = places(plugin.wired).items()
    return {layer: (plugin.ages[units] == 0).nonzero().flatten().tolist() for layer, (units, _, _) in found}


# ------------------------------------------------------------------ which, and how many


def test_the_units_of_least_utility_go_by_hand() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 2))
        with torch.no_grad():
            model.get_parameter("0.weight").zero_()
            model.get_parameter("0.bias").copy_(torch.tensor([1.0, 2.0, 4.0, 0.5]))
            model.get_parameter("2.weight").copy_(torch.tensor([[3.0, -1.0, 0.5, 8.0], [-1.0, 0.0, 0.25, 8.0]]))
        return model

    # mean |outgoing| is 2, 0.5, 0.375, 8; times the values that is 2, 1, 1.5, 4
    learner = learner_of(make, torch.ones(3, 1), None, plugin := eager(), optimizer=ADAM)
    assert after_one(learner, plugin) == {"0": [1, 2]}
    assert plugin.utilities is not None
    torch.testing.assert_close(plugin.utilities, 0.01 * torch.tensor([2.0, 0.0, 0.0, 4.0]))


def test_the_adaptable_utility_by_hand() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
        with torch.no_grad():
            model.get_parameter("0.weight").copy_(torch.tensor([[1.0], [2.0], [1.0], [0.5]]))
            model.get_parameter("0.bias").copy_(torch.tensor([50.0, 50.0, 1.0, 1.0]))
            model.get_parameter("2.weight").copy_(torch.tensor([[1.0, 2.0, 3.0, -4.0]]))
        return model

    # a unit varies by its weight, so |outgoing| * |h - mean| / |incoming| is as |outgoing|, whatever h itself is
    learner = learner_of(make, torch.tensor([[-1.0], [1.0]]), None, plugin := eager(utility="adaptable"))
    assert after_one(learner, plugin) == {"0": [0, 1]}
    assert plugin.utilities is not None
    torch.testing.assert_close(plugin.utilities, 0.01 * torch.tensor([0.0, 0.0, 3.0, 4.0]))


def test_running_means_are_those_of_every_update_since_the_last_look() -> None:
    """Looking once after three updates is looking after each at values that stay."""
    seldom, often = eager(rate=0.0, decay=0.8), eager(rate=0.0, decay=0.8)
    one, other = plain(seldom), plain(often)
    one.clock.advance(updates=3)
    apply(one, seldom)
    for _ in range(3):
        after_one(other, often)
    for name in ("ages", "utilities", "means"):
        torch.testing.assert_close(getattr(seldom, name), getattr(often, name))
    assert seldom.ages is not None
    assert set(seldom.ages.tolist()) == {3.0}
    _, values = wires_of(one)["0"], one.model.get_submodule("0")(one.objective.sample(torch.Generator())[0]).relu()
    torch.testing.assert_close(seldom.means[:8] / (1 - 0.8**3), values.mean(0).detach())  # type: ignore[index]


def replaced(period: int, rate: float, updates: int, maturity: int = 0) -> list[int]:
    """How many units of each layer were replaced in a run of so many updates."""
    count = {"0": 0, "2": 0}

    class Counting(ContinualBackprop):
        def _look(self, *arguments: Any) -> tuple[Tensor, Tensor]:
            worst, means = super()._look(*arguments)
            count[arguments[1].units.layer] += int(worst.sum())
            return worst, means

    train(plain(Counting(rate=rate, maturity=maturity, when=Every(period)), total=updates + 1), updates)
    return list(count.values())


@pytest.mark.parametrize("period", [1, 6])
def test_it_replaces_at_its_rate_over_many_looks(period: int) -> None:
    for found, units in zip(replaced(period, 0.02, 60), (8, 6), strict=True):
        # 0.02 of the units an update; a unit goes only once between two looks, as it would if it had to mature
        per_look = units * (1 - 0.98**period)
        assert found == int(per_look * 60 / period + 1e-4)
        assert abs(found - 0.02 * 60 * units) <= 1 + 0.05 * found


def test_less_than_a_unit_is_kept_for_later() -> None:
    assert replaced(2, 0.01, 10) == [0, 0]
    assert replaced(2, 0.01, 26) == [2, 1]


def test_units_that_are_not_mature_are_left_alone() -> None:
    assert replaced(1, 1.0, 4, maturity=4) == [0, 0]
    assert replaced(1, 1.0, 5, maturity=4) == [8, 6]
    assert replaced(1, 1.0, 9, maturity=4) == [8, 6]
    assert replaced(1, 1.0, 10, maturity=4) == [16, 12]


def test_each_of_twin_critics_replaces_its_own() -> None:
    learner = updated(twins(plugin := eager(layers="head.0")))
    with torch.no_grad():
        learner.params["head.2.weight"][1] *= 100  # as useful as no unit of the first
    found = after_one(learner, plugin)["head.0"]
    assert [sum(unit // 6 == member for unit in found) for member in (0, 1)] == [3, 3]


# ------------------------------------------------------------------ what is written


@every_learner
def test_what_is_written_and_nothing_else(name: str) -> None:
    learner = updated(LEARNERS[name](plugin := eager()))
    before = everything(learner)
    fresh_at = learner.clock.now.updates + 1
    found = after_one(learner, plugin)
    fresh = parameters(learner._subject(plugin, lambda: None).fresh())
    assert learner.clock.now.updates == fresh_at
    now = everything(learner)
    incoming: dict[str, Tensor] = {}
    outgoing: dict[str, Tensor] = {}
    for layer, units in found.items():
        assert len(units) == wires_of(learner)[layer].count // 2
        for of, masks in zip((incoming, outgoing), entries_of(learner, layer, *units), strict=True):
            for parameter, mask in masks.items():
                of[parameter] = of[parameter] | mask if parameter in of else mask
    for parameter in learner.params:
        nothing = torch.zeros_like(fresh[parameter], dtype=torch.bool)
        into, out_of = incoming.get(parameter, nothing), outgoing.get(parameter, nothing)
        weights, were = now[f"model/{parameter}"], before[f"model/{parameter}"]
        if parameter.endswith(("bias", "bias_mu")):
            assert not weights[into].any()
        else:
            expected = torch.where(into, fresh[parameter], were).masked_fill(out_of, 0)
            assert torch.equal(weights, expected), parameter
        for moment in ("exp_avg", "exp_avg_sq"):  # those of a bias that took over stay
            key = f"{moment}/{parameter}"
            assert torch.equal(now[key], before[key].masked_fill(into | out_of, 0))
        assert torch.equal(now[f"step/{parameter}"], before[f"step/{parameter}"])
    for key, value in now.items():
        if key.startswith("target/"):
            assert torch.equal(value, before[key])
    assert faults(learner) == []
    updated(learner)


CONSTANT: dict[str, Any] = {
    "plain": (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.full((5, 4), 0.7)),
    "rainbow": (network, torch.full((5, *IMAGE), 0.7)),
}


@pytest.mark.parametrize("name", CONSTANT)
@pytest.mark.parametrize("crelu", [False, True])
def test_biases_take_over_what_a_unit_gave_on_average(name: str, crelu: bool) -> None:
    """With inputs that are all the same a mean is every value, so nothing changes at all."""
    make, inputs = CONSTANT[name]
    for layer in ("0",) if name == "plain" else ("encoder.2", "encoder.4", "head"):
        plugin = eager(layers=layer)
        others = [ConcatenatedReLU(style="input")] if crelu else []
        learner = learner_of(make, inputs, None, *others, plugin, loss=lambda o, t: (o - t).square().flatten(1).sum(1))
        gave = outputs(learner)
        before = parameters(learner.model)
        assert any(after_one(learner, plugin).values())
        torch.testing.assert_close(outputs(learner), gave, atol=1e-5, rtol=1e-4)
        assert any(not torch.equal(value, before[name]) for name, value in parameters(learner.model).items())


def test_a_reader_without_a_bias_takes_nothing_over() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2, bias=False))

    learner = plain(plugin := eager(), make=make)
    assert len(after_one(learner, plugin)["0"]) == 4


# ------------------------------------------------------------------ state


def test_a_checkpoint_holds_the_state_exactly() -> None:
    def learner() -> Learner:
        torch.manual_seed(0)
        return small_rainbow(ContinualBackprop(rate=0.05, maturity=2, decay=0.9, when=Every(2)))

    whole = learner()
    train(whole, 8)
    half = learner()
    train(half, 5)
    other = learner()
    other.load_state_dict(half.state_dict())
    other.clock.advance(updates=5)
    other.clock.tick()
    train(other, 3)
    assert differences(state(whole), state(other)) == set()
    for name, value in plugin_state(whole.plugins[0]).items():
        again = plugin_state(other.plugins[0])[name]
        assert torch.equal(value, again) if isinstance(value, Tensor) else value == again


def test_units_of_a_layer_that_was_reset_are_new() -> None:
    plugin = ContinualBackprop(when=Every(1))
    train(small_rainbow(plugin, Reset(layers="head", when=Every(3))), 4)
    assert plugin.ages is not None
    ages = {layer: set(plugin.ages[units].tolist()) for layer, (units, _, _) in places(plugin.wired).items()}
    assert {age for layer, own in ages.items() for age in own if layer.startswith("encoder")} == {4.0}
    assert {age for layer, own in ages.items() for age in own if layer.startswith("head")} == {1.0}


def test_an_injected_heads_units_are_new_and_the_encoders_as_old_as_before() -> None:
    plugin = ContinualBackprop(when=Every(1))
    learner = small_rainbow(PlasticityInjection(when=At(3)), plugin)
    train(learner, 5)
    assert plugin.ages is not None
    ages = {layer: set(plugin.ages[units].tolist()) for layer, (units, _, _) in places(plugin.wired).items()}
    assert ages["encoder.4"] == {5.0}
    assert ages["head.new.value.0"] == {3.0}  # it came before the look of the same tick
    assert "head.value.0" not in ages


def test_everything_of_rainbow_at_once() -> None:
    plugin = eager(rate=0.2, when=Every(2))
    learner = small_rainbow(plugin, ConcatenatedReLU(), LayerNorm(), PlasticityInjection(when=At(3)))
    train(learner, 7)
    assert faults(learner) == []
    assert plugin.ages is not None
    assert (plugin.ages == 0).any()


# ------------------------------------------------------------------ options


def test_options_are_live() -> None:
    def after(**options: Any) -> dict[str, Any]:
        torch.manual_seed(0)
        plugin = eager(**{"rate": 0.4, "when": Every(2), **options})
        return state(updated(plain(plugin), 6))

    default = after()
    assert differences(default, after()) == set()
    for options in (
        {"rate": 0.1},
        {"maturity": 3},
        {"utility": "adaptable"},
        {"layers": "2"},
        {"step": "clear"},
        {"when": Every(3)},
    ):
        assert differences(default, after(**options)), options
    slow, fast = (eager(decay=decay, rate=0.0) for decay in (0.9, 0.5))
    for plugin in (slow, fast):
        after_one(plain(plugin), plugin)
    assert not torch.equal(slow.utilities, fast.utilities)  # type: ignore[arg-type]


def test_step_counts_are_cleared_if_asked() -> None:
    learner = updated(plain(plugin := eager(step="clear")))
    after_one(learner, plugin)
    assert float(moments(learner, "2.weight")["step"]) == 0.0
    assert float(moments(learner, "4.bias")["step"]) == 2.0  # it only took over


def test_its_defaults_are_the_papers() -> None:
    plugin = ContinualBackprop()
    assert (plugin.rate, plugin.maturity, plugin.decay, plugin.utility) == (1e-4, 10_000, 0.99, "contribution")


def test_layers_that_are_not_there_are_refused_at_the_start() -> None:
    with pytest.raises(NothingToActOn, match="continual_backprop: no hidden layer that learns matches layers=nowhere"):
        plain(ContinualBackprop(layers="nowhere"))


@pytest.mark.parametrize("options", [{"rate": 1.5}, {"decay": 1.0}, {"maturity": -1}, {"utility": "weight"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"^continual_backprop: "):
        build(ContinualBackprop, options, "continual_backprop")
