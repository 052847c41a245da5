"""Muon: which matrices, what step, and an optimizer of two that everything sees as one."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.edits import Forget, Overwrite
from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.recipes.options import build
from plastic.core.schedule import At, Clock, Never
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.muon import Muon, WithMuon, _by_gram, _directly, orthogonalised
from plastic.testing.invariants import faults
from tests.agents.actor_critic.trial import Trial
from tests.core.layers.critics import Critic, pair
from tests.plugins.learners import (
    ADAM,
    Parts,
    batch,
    differences,
    gradients_at,
    learner_of,
    linear,
    moments,
    parameters,
    rainbow,
    state,
    train,
)
from tests.plugins.probes.critics import Zero

needs_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="needs PyTorch 2.9 or later")

RATE = 1e-3  # ADAM's
HIDDEN = {  # Rainbow's
    *(f"encoder.{place}.weight" for place in (0, 2, 4)),
    *(f"head.{stream}.0.weight_mu" for stream in ("value", "advantage")),
}


def by_muon(learner: Learner) -> set[str]:
    return {name for name in learner.params if "muon_momentum" in moments(learner, name)}


def apart(learner: Learner) -> set[str]:
    """The parameters of the last group."""
    last = {id(parameter) for parameter in learner.optimizer.param_groups[-1]["params"]}
    return {name for name, parameter in learner.params.items() if id(parameter) in last}


# ------------------------------------------------------------------ which


def test_on_rainbow_hidden_weights_and_means_are_muons_and_the_rest_is_adams() -> None:
    learner = rainbow(Muon())
    train(learner, 2)
    assert by_muon(learner) == apart(learner) == HIDDEN
    for name in learner.params:
        assert moments(learner, name).keys() == (
            {"muon_momentum"} if name in HIDDEN else {"step", "exp_avg", "exp_avg_sq"}
        )
    assert faults(learner) == []


def test_on_sac_each_member_of_the_critics_is_a_matrix_of_its_own() -> None:
    plugins = {name: [Muon()] for name in ("critic", "actor")}
    trial = Trial(plugins=plugins, pixels=True).warm_up().run(3)
    convolutions = {name for name in trial.critic.params if name.startswith("encoder.") and name.endswith("weight")}
    hidden = {"trunk.0.weight", "head.0.weight", "head.2.weight"}
    assert len(convolutions) == 4
    assert by_muon(trial.critic) == hidden | convolutions
    assert by_muon(trial.actor) == hidden
    for learner in trial.agent.learners.values():
        assert faults(learner) == []


def test_with_other_layers_among_those() -> None:
    learner = rainbow(Muon(layers="head"))
    train(learner, 1)
    assert by_muon(learner) == {name for name in HIDDEN if name.startswith("head.")}


def test_norms_and_wider_activations_change_nothing_about_which() -> None:
    learner = rainbow(Muon(), LayerNorm(), ConcatenatedReLU())
    train(learner, 1)
    assert by_muon(learner) == HIDDEN
    assert faults(learner) == []


def test_a_network_without_a_hidden_layer_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="muon: no hidden layer that is trained matches layers=whole"):
        learner_of(lambda: nn.Linear(3, 2), torch.randn(2, 3), None, Muon())
    with pytest.raises(NothingToActOn, match="layers=hed"):
        rainbow(Muon(layers="hed"))


# ------------------------------------------------------------------ what step


def steps(learner: Learner) -> dict[str, Tensor]:
    before = parameters(learner.model)
    train(learner, 1)
    after = parameters(learner.model)
    return {name: before[name] - after[name] for name in learner.params}


def test_the_steps_singular_values_are_all_about_the_same_length() -> None:
    """Its entries' root mean square is then 0.2 learning rates, about Adam's."""
    torch.manual_seed(0)
    inputs = torch.randn(64, 6) * torch.tensor([100.0, 10.0, 1.0, 1.0, 0.1, 0.01])
    learner = learner_of(
        lambda: nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 5)), inputs, None, Muon(), optimizer=ADAM
    )
    raw = gradients_at(learner, (inputs, torch.zeros(64, 5)))["0.weight"]
    found = torch.linalg.svdvals(steps(learner)["0.weight"] / (RATE * 0.2 * 6**0.5))
    assert float(torch.linalg.cond(raw)) > 20
    assert 0.6 < float(found.min()) <= float(found.max()) < 1.3


def orthogonal(matrix: Tensor) -> Tensor:
    """The iteration on the singular values alone: five times a x + b x^3 + c x^5, from x / |x|."""
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    x = values / values.norm()
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    found: Tensor = left @ x.diag() @ right
    return found


def reference(tensor: Tensor, gradients: list[Tensor], momentum: float = 0.95) -> Tensor:
    """Muon on a matrix by itself, with Nesterov's momentum, in double precision."""
    weights, mean = tensor.double(), torch.zeros_like(tensor.double())
    for gradient in gradients:
        mean = momentum * mean + (1 - momentum) * gradient
        ahead = momentum * mean + (1 - momentum) * gradient
        weights = weights - RATE * 0.2 * max(tensor.shape) ** 0.5 * orthogonal(ahead)
    return weights


def near(start: Tensor, found: Tensor, wanted: Tensor) -> None:
    """The same way from the start, but for single precision."""
    assert float((wanted - start).norm()) > 1e-4
    assert float((found.detach() - wanted).norm()) < 2e-3 * float((wanted - start).norm())


@needs_muon
@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5)])
def test_of_a_matrix_it_makes_what_pytorchs_muon_makes(shape: tuple[int, int]) -> None:
    """Whose iteration is in bfloat16, of three digits."""
    start, gradient = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    alone = nn.Parameter(start.clone())
    alone.grad = gradient.clone()
    torch.optim.Muon([alone], lr=RATE, weight_decay=0.0, adjust_lr_fn="match_rms_adamw").step()
    stepped = start - RATE * 0.2 * max(shape) ** 0.5 * orthogonalised(gradient)
    assert float((stepped - alone.detach()).norm()) < 0.03 * float((stepped - start).norm())


@pytest.mark.parametrize("shape", [(8, 40), (260, 600)])
@pytest.mark.parametrize("rank", [4, None])
def test_on_the_gram_matrix_the_iteration_is_the_same(shape: tuple[int, int], rank: int | None) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) if rank is None else torch.randn(shape[0], rank) @ torch.randn(rank, shape[1])
    matrix = matrix / matrix.norm()
    exactly = _directly(matrix.double())
    for made in (_directly(matrix), _by_gram(matrix)):
        assert float((made - exactly).norm() / exactly.norm()) < 3e-4
    assert torch.equal(orthogonalised(matrix.t()), orthogonalised(matrix).t())


def test_it_is_muon_on_each_matrix_also_of_an_ensemble_and_of_filters() -> None:
    torch.manual_seed(0)
    learner = Learner("critic", Critic, Zero(), ADAM, plugins=(Muon(momentum=0.9),), clock=Clock())
    start = parameters(learner.model)
    seen: dict[str, list[Tensor]] = {name: [] for name in start}
    for number in range(3):
        given = tuple(part + number for part in pair())
        for name, gradient in gradients_at(learner, given).items():
            seen[name].append(gradient)
        learner.update(given)
    for name in ("head.0.weight", "head.2.weight"):
        for member in range(2):
            wanted = reference(start[name][member], [gradient[member] for gradient in seen[name]], 0.9)
            near(start[name][member], learner.params[name][member], wanted)
    wanted = reference(start["trunk.0.weight"], seen["trunk.0.weight"], 0.9)
    near(start["trunk.0.weight"], learner.params["trunk.0.weight"], wanted)
    wanted = reference(start["encoder.1.weight"].flatten(1), [g.flatten(1) for g in seen["encoder.1.weight"]], 0.9)
    near(start["encoder.1.weight"].flatten(1), learner.params["encoder.1.weight"].flatten(1), wanted)


def test_channels_last_or_not_the_filters_step_is_the_same() -> None:
    def found(last: bool) -> Tensor:
        torch.manual_seed(0)
        layout = torch.channels_last if last else torch.contiguous_format
        conv = nn.Conv2d(3, 4, 3).to(memory_format=layout)  # type: ignore[call-overload]
        tensor = torch.randn(4, 3, 3, 3).to(memory_format=layout)
        assert tensor.is_contiguous(memory_format=layout)

        def make() -> nn.Module:
            return nn.Sequential(deepcopy(conv), nn.ReLU(), nn.Flatten(), nn.Linear(4, 1))

        torch.manual_seed(1)
        learner = learner_of(make, torch.randn(5, 3, 3, 3), None, Muon(), optimizer=ADAM)
        weight = learner.params["0.weight"]
        weight.grad = tensor
        for name, other in learner.params.items():
            if name != "0.weight":
                other.grad = torch.zeros_like(other)
        before = weight.detach().clone()
        learner.optimizer.step()
        assert moments(learner, "0.weight")["muon_momentum"].stride() == weight.stride()
        return (before - weight.detach()).contiguous()

    torch.testing.assert_close(found(True), found(False), rtol=0, atol=1e-5)
    assert found(True).abs().mean() > 1e-4


def test_the_others_step_as_without_it() -> None:
    with_it, without = steps(rainbow(Muon())), steps(rainbow())
    for name, step in without.items():
        assert torch.equal(step, with_it[name]) == (name not in HIDDEN), name


@pytest.mark.parametrize(("option", "value"), [("rate", 3.0), ("momentum", 0.5), ("layers", "encoder")])
def test_each_option_is_live(option: str, value: Any) -> None:
    one, other = rainbow(Muon()), rainbow(build(Muon, {option: value}, "muon"))
    train(one, 3)
    train(other, 3)
    assert "model/head.value.0.weight_mu" in differences(state(one), state(other))


@pytest.mark.parametrize("rate", [0.0, 0.5, 4.0])
def test_its_rate_is_in_learning_rates_of_the_agent(rate: float) -> None:
    found, plain = steps(rainbow(Muon(rate=rate))), steps(rainbow(Muon()))
    for name, step in plain.items():
        factor = rate if name in HIDDEN else 1.0
        torch.testing.assert_close(found[name], factor * step, rtol=1e-3, atol=3e-7)


@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_the_knob_of_the_learning_rate_reaches_both_and_leaves_the_ratio(rate: float) -> None:
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))

    def found(knob: float) -> dict[str, Tensor]:
        learner = learner_of(
            lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
            inputs,
            None,
            Muon(rate=rate),
            optimizer=ADAM,
            knobs={"learning_rate": RATE},
        )
        learner.knobs["learning_rate"] = knob
        moved = steps(learner)
        assert [group["lr"] for group in learner.optimizer.param_groups] == [knob, knob]
        return moved

    slow, fast = found(RATE), found(10 * RATE)
    for name, step in slow.items():
        torch.testing.assert_close(fast[name], 10 * step, rtol=1e-3, atol=2e-6)


def test_a_decoupled_decay_knows_the_agents_rate() -> None:
    decayed, plain = rainbow(Muon(rate=5.0), L2(strength=0.5, decoupled=True)), rainbow(Muon(rate=5.0))
    train(decayed, 1)
    train(plain, 1)
    for name, value in parameters(plain.model).items():
        torch.testing.assert_close(decayed.params[name].detach(), (1 - RATE * 0.5) * value, rtol=1e-5, atol=0)


# ------------------------------------------------------------------ one optimizer


def test_edits_clear_its_momentum_as_any_moments() -> None:
    by = Reset(when=Never())
    learner = rainbow(Muon(), by)
    train(learner, 2)
    name, other = "head.value.0.weight_mu", "encoder.2.weight"
    where = torch.zeros_like(learner.params[name], dtype=torch.bool)
    where[3] = True
    learner.write([Overwrite(name, learner.params[name].detach().clone(), where=where)], by=by)
    momentum = moments(learner, name)["muon_momentum"]
    assert not momentum[3].any()
    assert momentum[:3].any()
    learner.write([Forget([name])], by=by)
    assert not moments(learner, name)["muon_momentum"].any()
    assert moments(learner, other)["muon_momentum"].any()
    before = parameters(learner.model)[name]
    train(learner, 1)
    gradient = moments(learner, name)["muon_momentum"] / 0.05  # a first one again
    near(before, learner.params[name], reference(before, [gradient]))


def test_an_injection_gives_the_new_head_to_it_and_the_encoder_keeps_its_momentum() -> None:
    learner = rainbow(Muon(), PlasticityInjection(when=At(2)))
    train(learner, 1)
    kept = learner.optimizer
    train(learner, 1)
    assert learner.optimizer is not kept
    assert isinstance(learner.optimizer, WithMuon)
    assert by_muon(learner) == {name for name in HIDDEN if name.startswith("encoder.")}
    wanted = {name.replace("head.", "head.new.") for name in HIDDEN}
    assert apart(learner) == wanted
    assert faults(learner) == []
    before = parameters(learner.model)
    train(learner, 1)
    assert by_muon(learner) == wanted
    assert all(not torch.equal(before[name], learner.params[name]) for name in learner.params)
    assert faults(learner) == []


def test_what_changes_hands_at_a_replace_starts_anew() -> None:
    learner = rainbow(Muon())
    train(learner, 2)
    optimizer = learner.optimizer
    assert isinstance(optimizer, WithMuon)
    mine, adams = learner.params["encoder.0.weight"], learner.params["encoder.0.bias"]
    optimizer.state[mine] = {"step": torch.ones(()), "exp_avg": torch.ones_like(mine)}  # as the learner carries it over
    optimizer.state[adams] = {"muon_momentum": torch.ones_like(adams)}
    optimizer._settled = False
    learner.update(batch())
    assert moments(learner, "encoder.0.weight").keys() == {"muon_momentum"}
    assert moments(learner, "encoder.0.bias").keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert int(moments(learner, "encoder.0.bias")["step"]) == 1


@pytest.mark.parametrize("injected", [False, True])
def test_a_checkpoint_goes_on_exactly(injected: bool) -> None:
    def make() -> Learner:
        plugins: list[Plugin] = [Muon(rate=2.0)]
        return rainbow(*plugins, *([PlasticityInjection(when=At(2))] if injected else []))

    whole, resumed = make(), make()
    train(whole, 3)
    kept, clock = deepcopy(whole.state_dict()), deepcopy(whole.clock)
    train(whole, 3)
    resumed.load_state_dict(kept)
    assert faults(resumed) == []
    resumed.clock.now, resumed.clock.before = clock.now, clock.before
    train(resumed, 3)
    assert differences(state(whole), state(resumed)) == set()
    assert faults(resumed) == []


def test_around_momentum_instead_of_adam() -> None:
    learner = rainbow(Muon(), optimizer=partial(torch.optim.SGD, lr=RATE, momentum=0.9))
    train(learner, 2)
    assert by_muon(learner) == HIDDEN
    assert moments(learner, "encoder.0.bias").keys() == {"momentum_buffer"}
    assert faults(learner) == []


def test_where_every_parameter_is_a_hidden_matrix_nothing_is_left_for_the_other() -> None:
    learner = learner_of(
        lambda: nn.Sequential(nn.Linear(3, 2, bias=False), nn.Tanh()), torch.ones(4, 3), None, Muon(), optimizer=ADAM
    )
    assert steps(learner)["0.weight"].any()
    assert faults(learner) == []


def test_its_gradients_are_put_to_zero_and_a_closure_is_called() -> None:
    learner = learner_of(
        lambda: Parts(nn.Sequential(linear([[1.0, 2.0]]), nn.Tanh()), linear([[1.0]])),
        torch.ones(2, 2),
        None,
        Muon(),
        optimizer=ADAM,
    )

    def closure() -> Tensor:
        learner.optimizer.zero_grad()
        loss = learner.model(torch.ones(2, 2)).sum()
        loss.backward()
        return loss  # type: ignore[no-any-return]

    before = parameters(learner.model)
    optimizer: Any = learner.optimizer
    assert float(optimizer.step(closure).detach()) > 0
    assert all(not torch.equal(before[name], value) for name, value in learner.params.items())
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in learner.params.values())


def test_there_is_one_optimizer() -> None:
    with pytest.raises(UsageError, match="'muon' is there twice and claims the optimizer; choose one"):
        refuse_conflicts([Addressed({"rainbow": plugin}) for plugin in (Muon(), Muon())])
