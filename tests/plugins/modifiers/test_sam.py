"""SAM: the closed form on a quadratic, what a second pass draws anew, its scope, its place among the others."""

from functools import partial
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.edits import Replace
from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.learning.learner import Learner
from plastic.core.modifier import Draw, Gradients, MakeOptimizer, Parameters
from plastic.core.plugin import Plugin
from plastic.core.recipes.options import build
from plastic.core.schedule import Every
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.sam import SAM
from tests.plugins.learners import (
    Recorded,
    batch,
    changed,
    differences,
    learner_of,
    moments,
    norm,
    parameters,
    rainbow,
    state,
    train,
)

DRAWS: tuple[Draw, ...] = ("noise", "augmentation", "target")
SUBSETS = [subset for size in range(4) for subset in combinations(DRAWS, size)]


class Bowl(nn.Module):
    """L = (a . w^2) / 2 with w cut in an encoder's and a head's part, in double precision."""

    curvature: Tensor = torch.tensor([1.0, 4.0, 0.5, 9.0, 2.0], dtype=torch.float64)

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.encoder = nn.ParameterList([nn.Parameter(start[:2].clone())])
        self.head = nn.ParameterList([nn.Parameter(start[2:].clone())])

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.cat((self.encoder[0], self.head[0]))
        return 0.5 * (self.curvature * weights.square()).sum() + 0 * x


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach() for parameter in model.parameters()])


START = torch.tensor([0.7, -1.3, 2.0, 0.1, -0.4], dtype=torch.float64)
RATE = 0.05


def bowl(*plugins: Plugin, start: Tensor = START, optimizer: MakeOptimizer | None = None, **more: Any) -> Learner:
    inputs = torch.zeros(1, 1, dtype=torch.float64)
    sgd = partial(torch.optim.SGD, lr=RATE)
    return learner_of(
        partial(Bowl, start), inputs, None, *plugins, loss=lambda out, _: out[:, 0], optimizer=optimizer or sgd, **more
    )


def ascent(weights: Tensor, rho: float) -> Tensor:
    """The paper's eq. 2: rho * g / |g|."""
    gradient = Bowl.curvature * weights
    return gradient * (rho / float(gradient.norm()))


# ------------------------------------------------------------------ the method


@pytest.mark.parametrize("rho", [0.0, 0.03, 0.1, 1.0])
def test_on_a_quadratic_a_step_is_the_closed_form(rho: float) -> None:
    learner = bowl(SAM(rho=rho))
    weights = START
    for _ in range(4):
        expected = weights - RATE * Bowl.curvature * (weights + ascent(weights, rho))
        train(learner, 1)
        weights = weights_of(learner.model)
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-12)


def test_the_base_optimizer_sees_the_second_gradient_alone_and_steps_once() -> None:
    learner = bowl(SAM(rho=0.1), optimizer=partial(torch.optim.Adam, lr=RATE, betas=(0.9, 0.999)))
    train(learner, 1)
    second = Bowl.curvature * (START + ascent(START, 0.1))
    first_moment = torch.cat([moments(learner, name)["exp_avg"] for name in learner.params])
    torch.testing.assert_close(first_moment, 0.1 * second, rtol=0, atol=1e-12)
    assert [int(moments(learner, name)["step"]) for name in learner.params] == [1, 1]


def test_where_the_gradient_vanishes_nothing_is_moved_and_nothing_becomes_nan() -> None:
    learner = bowl(SAM(rho=0.1), start=torch.zeros(5, dtype=torch.float64))
    train(learner, 2)
    assert torch.equal(weights_of(learner.model), torch.zeros(5, dtype=torch.float64))


def test_adaptive_scales_by_the_size_of_the_weights() -> None:
    learner = bowl(SAM(rho=0.1, adaptive=True))
    gradient = Bowl.curvature * START
    scaled = START.abs() * gradient
    moved = START + 0.1 * START.square() * gradient / scaled.norm()  # ASAM, eq. 2 with T_w = diag |w|
    train(learner, 1)
    torch.testing.assert_close(weights_of(learner.model), START - RATE * Bowl.curvature * moved, rtol=0, atol=1e-12)


def test_at_radius_0_with_nothing_redrawn_it_is_the_base_optimizer_bit_for_bit() -> None:
    with_sam, without = rainbow(SAM(rho=0.0, redraw="none")), rainbow()
    losses = zip(train(with_sam, 5), train(without, 5), strict=True)
    assert all(torch.equal(one, other) for one, other in losses)
    assert differences(without_its_norm(with_sam), without_its_norm(without)) == set()


def without_its_norm(learner: Learner) -> dict[str, Any]:
    # SAM's have one more: the norm of the gradient it stepped with
    return {name: value for name, value in state(learner).items() if not name.startswith("averages/sums")}


@pytest.mark.parametrize("plugin", [SAM(rho=0.1, redraw="none"), SAM(rho=0.0, redraw="noise")])
def test_that_comparison_can_fail(plugin: SAM) -> None:
    one, other = rainbow(plugin), rainbow()
    train(one, 2)
    train(other, 2)
    assert "model/encoder.0.weight" in differences(without_its_norm(one), without_its_norm(other))


@pytest.mark.parametrize("redraw", ["none", "noise+augmentation+target"])
def test_at_learning_rate_0_the_weights_come_back_bit_for_bit(redraw: str) -> None:
    learner = rainbow(SAM(rho=0.5, redraw=redraw), optimizer=partial(torch.optim.Adam, lr=0.0))
    before = parameters(learner.model)
    train(learner, 3)
    assert changed(before, parameters(learner.model)) == set()


# ------------------------------------------------------------------ scope and norm


def test_in_a_scope_the_norm_and_the_move_are_its_own_and_the_step_is_everybodys() -> None:
    learner = bowl(SAM(rho=0.1, scope="encoder"))
    gradient = Bowl.curvature * START
    moved = START.clone()
    moved[:2] += 0.1 * gradient[:2] / gradient[:2].norm()
    train(learner, 1)
    torch.testing.assert_close(weights_of(learner.model), START - RATE * Bowl.curvature * moved, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        ("whole", ("encoder", "head")),
        ("encoder", ("encoder",)),
        ("backbone", ("encoder",)),
        ("head", ("head",)),
        ("encoder_grad", ("encoder", "head")),
        ("encoder.4+head.value", ("encoder.4", "head.value")),
    ],
)
def test_out_of_scope_nothing_is_moved_and_the_move_has_length_rho(scope: str, inside: tuple[str, ...]) -> None:
    learner = rainbow(SAM(rho=0.25, scope=scope), recorded=True)
    before = parameters(learner.model)
    learner.update(batch())
    moves = moves_of(learner, before)
    expected = {name for name in before if name.startswith(inside)}
    moving = {name for name, move in moves.items() if move.any()}
    assert moving <= expected
    assert {name.split(".")[0] for name in moving} == {path.split(".")[0] for path in inside}
    assert norm(moves) == pytest.approx(0.25, rel=1e-4)


def moves_of(learner: Learner, before: dict[str, Tensor], update: int = 0) -> dict[str, Tensor]:
    """What the second pass of an update was evaluated at, less the weights before."""
    assert isinstance(learner.objective, Recorded)
    clean, perturbed = learner.objective.evaluated[2 * update : 2 * update + 2]
    assert changed(before, clean["params"]) == set()
    return {name: perturbed["params"][name] - before[name] for name in before}


@pytest.mark.parametrize("rho", [0.0, 0.1, 1.0])
def test_with_encoder_grad_all_is_moved_and_the_head_steps_with_the_first_gradient(rho: float) -> None:
    learner = bowl(SAM(rho=rho, scope="encoder_grad"))
    weights = START
    for _ in range(3):
        gradient = Bowl.curvature * weights
        gradient[:2] = (Bowl.curvature * (weights + ascent(weights, rho)))[:2]  # one norm, over encoder and head
        train(learner, 1)
        weights = weights - RATE * gradient
        torch.testing.assert_close(weights_of(learner.model), weights, rtol=0, atol=1e-12)


def test_encoder_grad_needs_an_encoder_that_is_trained() -> None:
    with pytest.raises(UsageError, match="sam: no trained parameter matches scope=encoder_grad"):
        learner_of(partial(nn.Linear, 2, 1), torch.zeros(1, 2), None, SAM(scope="encoder_grad"))


def test_the_norm_is_one_over_all_parameters_noisy_deviations_included() -> None:
    learner = rainbow(SAM(rho=0.1, redraw="none"), recorded=True, max_grad_norm=None)
    before = parameters(learner.model)
    learner.update(batch())
    assert isinstance(learner.objective, Recorded)
    clean = learner.objective.evaluated[0]
    losses = learner.objective.objective.losses  # the gradient by plain autograd on the recorded pass
    twin = rainbow(max_grad_norm=None)
    for buffer, value in zip(twin._noise_buffers, clean["noise"], strict=False):
        buffer.copy_(value)
    scalar = (clean["batch"].weight * losses(twin.model, clean["batch"], clean["target"])).mean()
    gradients = dict(zip(before, torch.autograd.grad(scalar, list(twin.params.values())), strict=True))
    moves = moves_of(learner, before)
    total = norm(gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(moves[name], 0.1 * gradient / total, rtol=1e-3, atol=1e-7)
    sigma = {name: move for name, move in moves.items() if "sigma" in name}
    assert norm(sigma) > 0.001


def test_the_scope_outlives_resets() -> None:
    learner = rainbow(SAM(rho=0.1, scope="encoder"), Reset(when=Every(2)), recorded=True)
    for update in range(4):
        before = parameters(learner.model)
        train(learner, 1)
        moving = {name.split(".")[0] for name, move in moves_of(learner, before, update).items() if move.any()}
        assert moving == {"encoder"}


def test_the_scope_outlives_the_replacement_of_a_module() -> None:
    class Wrapping(Reset):
        def same(self, module: nn.Module) -> nn.Module:
            return nn.Sequential(module)

    wrapping = Wrapping()
    learner = rainbow(SAM(rho=0.1, scope="head.advantage"), wrapping, recorded=True)
    learner.write([Replace("head.advantage.0", wrapping.same)], by=wrapping)
    before = parameters(learner.model)
    learner.update(batch())
    moving = {name for name, move in moves_of(learner, before).items() if move.any()}
    assert "head.advantage.0.0.weight_mu" in moving
    assert {name[:14] for name in moving} == {"head.advantage"}


def test_a_scope_without_parameters_is_refused() -> None:
    with pytest.raises(UsageError, match="sam: no trained parameter matches scope=haed"):
        rainbow(SAM(scope="haed"))


# ------------------------------------------------------------------ what the second pass draws anew


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_what_is_drawn_anew_is_what_was_asked_for(subset: tuple[Draw, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    learner = rainbow(SAM(redraw="+".join(subset) or "none"), recorded=True)
    draws = []
    drawn = learner.draw_noise

    def counted() -> None:
        draws.append(1)
        drawn()

    monkeypatch.setattr(learner, "draw_noise", counted)
    learner.update(batch())
    assert isinstance(learner.objective, Recorded)
    counts = (len(draws), len(learner.objective.augmented), len(learner.objective.targets))
    assert counts == tuple(1 + (draw in subset) for draw in DRAWS)
    clean, perturbed = learner.objective.evaluated
    same_noise = all(map(torch.equal, clean["noise"], perturbed["noise"]))
    assert same_noise == ("noise" not in subset)
    assert torch.equal(clean["batch"].observation, perturbed["batch"].observation) == ("augmentation" not in subset)
    assert (clean["target"] is perturbed["target"]) == ("target" not in subset)
    if {"noise", "target"} <= set(subset):  # the moved network alone may well choose the same actions
        assert not torch.equal(clean["target"], perturbed["target"])
    assert torch.equal(clean["batch"].index, perturbed["batch"].index)  # the transitions stay


def test_a_target_computed_anew_is_the_moved_networks_choice() -> None:
    learner = rainbow(SAM(rho=0.5, redraw="target"), recorded=True)
    before = parameters(learner.model)
    learner.update(batch())
    assert isinstance(learner.objective, Recorded)
    first, second = learner.objective.targets
    assert changed(before, first["params"]) == set()
    assert changed(learner.objective.evaluated[1]["params"], second["params"]) == set()
    assert changed(before, second["params"]) == set(before)


def test_noiseless_takes_the_first_pass_at_the_means() -> None:
    learner = rainbow(SAM(rho=0.1, noiseless=True), recorded=True)
    before = parameters(learner.model)
    learner.update(batch())
    assert isinstance(learner.objective, Recorded)
    clean, perturbed = learner.objective.evaluated
    assert (clean["silent"], perturbed["silent"]) == ({True}, {False})
    moves = moves_of(learner, before)
    assert not any(move.any() for name, move in moves.items() if "sigma" in name)
    assert norm(moves) == pytest.approx(0.1, rel=1e-4)
    sigma = {name: moments(learner, name)["exp_avg"] for name in before if "sigma" in name}
    assert all(value.any() for value in sigma.values())  # the step itself is taken with noise
    assert {sample.silent for sample in learner.model.modules() if hasattr(sample, "silent")} == {False}


@pytest.mark.parametrize("wrong", ["", "noises", "noise+", "all", "none+noise"])
def test_a_wrong_word_in_redraw_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="sam: redraw must be `none` or some of noise"):
        build(SAM, {"redraw": wrong}, "sam")


@pytest.mark.parametrize(("priority", "which"), [("clean", 0), ("perturbed", 1)])
def test_priorities_come_from_the_pass_that_was_asked_for(priority: Any, which: int) -> None:
    passes: list[Tensor] = []

    def evaluate(
        params: Parameters | None = None, redraw: frozenset[Draw] = frozenset(), noise: bool = True
    ) -> tuple[Tensor, Gradients]:
        passes.append(torch.tensor([float(len(passes))]))
        return passes[-1], {"w": torch.ones(2)}

    losses, _ = SAM(priority=priority).gradients(evaluate, {"w": torch.zeros(2)})
    assert losses is passes[which]
    assert len(passes) == 2


def test_batch_statistics_advance_in_the_first_pass_only() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))

    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    with_sam, without = learner_of(make, inputs, None, SAM(rho=0.5)), learner_of(make, inputs)
    for learner in (with_sam, without):
        train(learner, 1)
    ours, plain = dict(with_sam.model.named_buffers()), dict(without.model.named_buffers())
    assert int(ours["1.num_batches_tracked"]) == 1
    assert torch.equal(ours["1.running_mean"], plain["1.running_mean"])


# ------------------------------------------------------------------ schedule and neighbours


def test_between_its_moments_steps_are_plain() -> None:
    learner, plain = bowl(SAM(rho=0.1, when=Every(3))), bowl()
    train(learner, 2)
    train(plain, 2)
    assert torch.equal(weights_of(learner.model), weights_of(plain.model))
    train(learner, 1)
    train(plain, 1)
    assert not torch.equal(weights_of(learner.model), weights_of(plain.model))


@pytest.mark.parametrize("turned", [False, True])
def test_coupled_decay_is_no_part_of_the_ascent_in_whatever_order(turned: bool) -> None:
    plugins = [SAM(rho=0.1), L2(strength=0.3)]
    learner = bowl(*(reversed(plugins) if turned else plugins))
    train(learner, 1)
    step = Bowl.curvature * (START + ascent(START, 0.1)) + 0.3 * START
    torch.testing.assert_close(weights_of(learner.model), START - RATE * step, rtol=0, atol=1e-12)


def test_clipping_does_not_shorten_the_ascent_and_does_clip_the_step() -> None:
    learner = bowl(SAM(rho=0.1), max_grad_norm=0.5)
    train(learner, 1)
    second = Bowl.curvature * (START + ascent(START, 0.1))
    clipped = second * 0.5 / (second.norm() + 1e-6)
    torch.testing.assert_close(weights_of(learner.model), START - RATE * clipped, rtol=0, atol=1e-10)
    averages = learner.averages()
    assert averages["gradient_norm"] == pytest.approx(float((Bowl.curvature * START).norm()))
    assert averages["gradient_norm_last"] == pytest.approx(float(second.norm()))


def test_what_would_change_nothing_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="sam needs importance weights, and small has none; leave it out there"):
        bowl(SAM(priority="perturbed"))
    with pytest.raises(
        NothingToActOn, match="sam: noiseless=true is for noisy layers and dropout, and here are neither"
    ):
        bowl(SAM(noiseless=True))
