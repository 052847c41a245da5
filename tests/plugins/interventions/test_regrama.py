"""ReGraMa: it finds units whose gradient is dead, also where they fire, and recycles exactly these."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.learning.learner import Learner
from plastic.core.recipes.options import build
from plastic.core.schedule import At, Every, Never
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.redo import ReDo
from plastic.plugins.interventions.regrama import ReGraMa
from plastic.testing.invariants import faults
from tests.core.layers.critics import Critic
from tests.plugins.learners import differences, moments, parameters, rainbow, state, train
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

HIDDEN = {"plain": ("0", 8), "rainbow": ("head.value.0", 16), "twin critics": ("head.0", 12)}
every_learner = pytest.mark.parametrize("name", LEARNERS)


def unread(learner: Learner, layer: str, *units: int) -> None:
    """Nothing reads these units any more, so no gradient reaches them, although they fire."""
    for name, mask in entries_of(learner, layer, *units)[1].items():
        with torch.no_grad():
            learner.model.get_parameter(name).masked_fill_(mask, 0)


def recycled_units(learner: Learner, layer: str, count: int, before: dict[str, Tensor]) -> list[int]:
    """The units any of whose incoming entries has changed."""
    now = parameters(learner.model)
    return [
        unit
        for unit in range(count)
        if any((now[name] != before[name])[mask].any() for name, mask in entries_of(learner, layer, unit)[0].items())
    ]


@every_learner
def test_it_finds_units_whose_gradient_is_dead_though_they_fire(name: str) -> None:
    layer, count = HIDDEN[name]
    redo, plugin = ReDo(tau=0.0, layers=layer, when=Never()), ReGraMa(tau=0.0, layers=layer, when=Never())
    learner = updated(LEARNERS[name](redo, plugin))
    with torch.no_grad():
        for parameter in (n for n in learner.params if n.startswith(layer) and n.endswith(("bias", "bias_mu"))):
            learner.params[parameter].fill_(3.0)  # all fire
    unread(learner, layer, 2, 5)
    incoming, outgoing = entries_of(learner, layer, 2, 5)
    gave, before, weights = outputs(learner), everything(learner), parameters(learner.model)
    assert apply(learner, redo) == []  # it sees nothing
    apply(learner, plugin)
    assert recycled_units(learner, layer, count, weights) == [2, 5]
    torch.testing.assert_close(outputs(learner), gave)  # nothing had read them
    for key, where in touched(before, everything(learner)).items():
        kind, parameter = key.split("/")
        assert kind in ("model", "exp_avg", "exp_avg_sq")
        allowed = incoming.get(parameter, torch.tensor(False)) | outgoing.get(parameter, torch.tensor(False))
        assert not (where & ~allowed).any()
    for parameter, mask in (*incoming.items(), *outgoing.items()):
        assert not moments(learner, parameter)["exp_avg"][mask].any()
    assert faults(learner) == []
    updated(learner)


def by_hand(learner: Learner) -> list[Tensor]:
    """|dL/dh| of both layers of the plain network, without a hook."""
    inputs, targets = learner.objective.sample(torch.Generator())
    first = learner.model.get_submodule("0")(inputs).relu()
    second = learner.model.get_submodule("2")(first).relu()
    loss = (learner.model.get_submodule("4")(second) - targets).square().sum(1).mean()
    return [gradient.abs().mean(0) for gradient in torch.autograd.grad(loss, (first, second))]


@pytest.mark.parametrize("tau", [0.5, 0.9, 1.1])
def test_the_score_is_the_mean_size_of_the_gradient_over_that_of_the_layer(tau: float) -> None:
    learner = updated(plain(plugin := ReGraMa(tau=tau, when=Never())))
    expected = [[int(u) for u in (size <= tau * size.mean()).nonzero()] for size in by_hand(learner)]
    assert any(expected)
    before = parameters(learner.model)
    apply(learner, plugin)
    assert recycled_units(learner, "0", 8, before) == expected[0]
    biases = (parameters(learner.model)["2.bias"] != before["2.bias"]).nonzero().flatten().tolist()
    assert biases == expected[1]


@pytest.mark.parametrize(("of", "expected"), [("activation", []), ("weights", [3])])
def test_a_unit_that_never_fires_has_no_gradient_in_its_weights_alone(
    of: Literal["activation", "weights"], expected: list[int]
) -> None:
    learner = plain(plugin := ReGraMa(tau=0.0, of=of, layers="0", when=Never()))
    with torch.no_grad():
        learner.params["0.bias"].fill_(3.0)
    silence(learner, "0", 3)
    before = parameters(learner.model)
    apply(learner, plugin)
    assert recycled_units(learner, "0", 8, before) == expected


def test_with_crelu_a_unit_is_idle_by_the_mean_of_both_halves() -> None:
    learner = plain(ConcatenatedReLU(style="input"), plugin := ReGraMa(tau=0.0, layers="0", when=Never()))
    with torch.no_grad():
        learner.params["2.bias"].fill_(3.0)
        learner.params["2.weight"][:, [1, 9]] = 0.0  # both halves of unit 1 are read by nobody
        learner.params["2.weight"][:, 2] = 0.0  # one half of unit 2
    before = parameters(learner.model)
    apply(learner, plugin)
    assert recycled_units(learner, "0", 8, before) == [1]


def test_each_of_twin_critics_is_measured_by_its_own_mean() -> None:
    learner = updated(twins(plugin := ReGraMa(tau=0.05, layers="head.2", when=Never())))
    with torch.no_grad():
        learner.params["head.2.bias"].fill_(3.0)
        learner.params["head.4.weight"].fill_(1.0)
        learner.params["head.4.weight"][1] = 1e-3  # small beside the other critic's, and all alike
        learner.params["head.4.weight"][1, 0, 4] = 1e-6
    before = parameters(learner.model)
    apply(learner, plugin)
    assert recycled_units(learner, "head.2", 12, before) == [10]


@pytest.mark.parametrize("of", ["activation", "weights"])
def test_a_layer_that_no_gradient_reaches_is_left_alone(of: Literal["activation", "weights"]) -> None:
    learner = plain(plugin := ReGraMa(of=of, layers="0", when=Never()))
    with torch.no_grad():
        learner.params["4.weight"].zero_()
    assert apply(learner, plugin) == []


def test_everything_of_rainbow_at_once() -> None:
    plugin = ReGraMa(tau=0.5, when=Never())
    learner = updated(rainbow(plugin, ConcatenatedReLU(), LayerNorm(), PlasticityInjection(when=At(1))), 3)
    before = parameters(learner.model)
    apply(learner, plugin)
    now = parameters(learner.model)
    changed = {name for name in now if not torch.equal(now[name], before[name])}
    assert any(name.startswith("encoder") for name in changed)
    assert any(name.startswith("head.new.") for name in changed)
    assert faults(learner) == []
    updated(learner, 2)


def test_looking_leaves_no_hook_and_no_gradient() -> None:
    learner = updated(twins(plugin := ReGraMa(tau=0.0, when=Never())))
    before = state(learner)
    with learner._looking(plugin):
        list(plugin.edits(learner._subject(plugin, lambda: learner.objective.sample(torch.Generator()))))
    assert differences(before, state(learner)) == set()
    assert isinstance(learner.model, Critic)


def test_options_are_live() -> None:
    def after(**options: object) -> dict[str, object]:
        torch.manual_seed(0)
        learner = updated(rainbow(plugin := ReGraMa(**{"tau": 0.8, "when": Never(), **options})))  # type: ignore[arg-type]
        apply(learner, plugin)
        return state(learner)

    default = after()
    assert differences(default, after()) == set()
    for options in (
        {"tau": 0.5},
        {"of": "weights"},
        {"layers": "head"},
        {"bias": "fresh"},
        {"moments": "keep"},
        {"step": "clear"},
        {"copies": "all"},
    ):
        assert differences(default, after(**options)), options


def test_when_it_is_due() -> None:
    learner = plain(ReGraMa(tau=1e9, when=Every(2)))
    train(learner, 1)
    assert moments(learner, "0.weight")["exp_avg"].any()
    train(learner, 1)
    assert not moments(learner, "0.weight")["exp_avg"].any()


def test_layers_that_are_not_there_are_refused_at_the_start() -> None:
    with pytest.raises(NothingToActOn, match="regrama: no hidden layer that learns matches layers=nowhere"):
        plain(ReGraMa(layers="nowhere"))
    with pytest.raises(NothingToActOn, match="regrama: no hidden layer"):
        plain(ReGraMa(), make=lambda: nn.Linear(4, 2))


@pytest.mark.parametrize("options", [{"tau": -0.1}, {"of": "units"}, {"copies": "target"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"^regrama: "):
        build(ReGraMa, options, "regrama")
