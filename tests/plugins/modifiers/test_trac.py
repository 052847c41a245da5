"""TRAC: steps worked by hand, a reference written out in scalars, edits, and what it is for."""

import math
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import scipy.special
import torch
from torch import Tensor, nn

from plastic.core.edits import Overwrite
from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.recipes.options import build
from plastic.core.schedule import At, Never
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.hare_tortoise import HareTortoise
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.trac import TRAC, erfi
from plastic.testing.invariants import faults
from tests.agents.actor_critic.trial import Trial
from tests.plugins.learners import changed, differences, learner_of, parameters, rainbow, state, train

SGD = partial(torch.optim.SGD, lr=0.25)
ADAM = partial(torch.optim.Adam, lr=0.05)


def one_weight(
    *plugins: Plugin, start: float = 8.0, optimizer: Any = SGD, loss: Any = lambda out, _: out[:, 0]
) -> Learner:
    """A weight in double precision; unless said otherwise, the loss is the weight, and its gradient 1."""

    def make() -> nn.Module:
        layer = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        nn.init.constant_(layer.weight, start)
        return layer

    return learner_of(
        make,
        torch.ones(1, 1, dtype=torch.float64),
        None,
        *plugins,
        loss=loss,
        optimizer=optimizer,
    )


def weight(learner: Learner, copy: str | None = None) -> float:
    model = learner.model if copy is None else learner.copies[copy]
    return float(model.get_parameter("weight").detach())


# ------------------------------------------------------------------ the method


@pytest.mark.parametrize("x", [0.0, 1e-12, 1e-4, 0.3, 2**-0.5, 1.0, 2.2, 4.0, 6.5, 8.0])
def test_erfi_is_the_function_of_that_name_and_odd(x: float) -> None:
    both = erfi(torch.tensor([x, -x]))
    assert both.dtype == torch.float64
    given = float(torch.tensor(x))  # as single precision has it
    assert both.tolist() == pytest.approx([scipy.special.erfi(given), -scipy.special.erfi(given)], rel=1e-13)


def test_erfi_is_finite_beyond_all_that_matters() -> None:
    assert erfi(torch.tensor([1e30, -1e30])).isfinite().all()


def test_three_steps_worked_by_hand() -> None:
    """The gradient is 1, base loses 0.25 a step; with two discounts 1/2 and 1 the second step has S = 2 initial."""
    trac = TRAC(discounts=(0.5, 1.0), initial=0.01)
    learner = one_weight(trac)
    train(learner, 1)  # nothing is known yet: h = 0
    assert (weight(learner, "trac_base"), weight(learner)) == (7.75, 8.0)
    train(learner, 1)  # h = -1/4: sigma = 1/4, variance = 1/16, sigma / sqrt(2 variance) = 1 / sqrt(2)
    assert weight(learner, "trac_base") == 7.5
    assert weight(learner) == pytest.approx(8 - 0.02 * 0.5, abs=1e-8)
    train(learner, 1)  # h = -1/2: sigma = 1/8 + 1/2 and 1/4 + 1/2, variance = 1/64 + 1/4 and 1/16 + 1/4
    unit = 0.01 / scipy.special.erfi(2**-0.5)
    scale = unit * sum(
        scipy.special.erfi(sigma / math.sqrt(2 * variance)) for sigma, variance in ((0.625, 0.265625), (0.75, 0.3125))
    )
    assert float(trac.scale) == pytest.approx(scale, rel=1e-6)
    assert weight(learner, "trac_base") == 7.25
    assert weight(learner) == pytest.approx(8 - 0.75 * scale, abs=1e-8)
    assert weight(learner, "trac_reference") == 8.0


def reference(start: float, updates: int, discounts: tuple[float, ...], initial: float, rate: float) -> list[float]:
    """The same in scalars, around Adam, on (w - 3)^2."""
    base = weight = start
    sigma, variance = [0.0] * len(discounts), [0.0] * len(discounts)
    mean = square = 0.0
    seen = []
    for step in range(1, updates + 1):
        gradient = 2 * (weight - 3)
        h = gradient * (base - start)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        base -= rate * (mean / (1 - 0.9**step)) / (math.sqrt(square / (1 - 0.999**step)) + 1e-8)
        scale = 0.0
        for place, beta in enumerate(discounts):
            variance[place] = beta**2 * variance[place] + h**2
            sigma[place] = beta * sigma[place] - h
            argument = sigma[place] / (math.sqrt(2 * variance[place]) + 1e-8)
            scale += initial * scipy.special.erfi(argument) / scipy.special.erfi(2**-0.5)
        weight = start + max(scale, 0.0) * (base - start)
        seen.append(weight)
    return seen


@pytest.mark.parametrize(
    ("discounts", "initial"), [((0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999), 1e-8), ((0.5,), 0.3), ((0.9, 1.0), 0.1)]
)
def test_around_adam_it_is_the_reference_written_out(discounts: tuple[float, ...], initial: float) -> None:
    learner = one_weight(
        TRAC(discounts=discounts, initial=initial),
        optimizer=ADAM,
        loss=lambda out, _: (out[:, 0] - 3).square(),
    )
    seen = []
    for _ in range(60):
        train(learner, 1)
        seen.append(weight(learner))
    wanted = reference(8.0, 60, discounts, initial, 0.05)
    assert seen == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    assert min(wanted) < 8.0  # and not for want of moving


def test_where_the_way_is_right_it_goes_it_and_where_there_is_none_it_stays() -> None:
    """Gradients that agree make S grow from 1e-8 beyond 1 in a hundred steps; those that alternate leave it there."""
    for sign, wanted in ((1.0, (1.0, math.inf)), (-1.0, (0.0, 1e-6))):
        trac = TRAC()
        learner = one_weight(trac, loss=lambda out, target: out[:, 0] * target[:, 0])
        scales = []
        for update in range(100):
            given = torch.ones(1, 1, dtype=torch.float64), torch.full((1, 1), sign**update, dtype=torch.float64)
            train(learner, 1, batches=lambda _, given=given: given)  # type: ignore[misc]
            scales.append(float(trac.scale))
            if scales[-1] > 1:
                break
        assert wanted[0] <= max(scales) < wanted[1]


def test_gradients_against_the_way_bring_the_weights_back() -> None:
    trac = TRAC(initial=0.1)
    learner = one_weight(trac, loss=lambda out, target: out[:, 0] * target[:, 0])

    def go(updates: int, slope: float) -> None:
        given = torch.ones(1, 1, dtype=torch.float64), torch.full((1, 1), slope, dtype=torch.float64)
        train(learner, updates, batches=lambda _: given)

    go(4, 1.0)
    assert weight(learner) < 7.9
    go(1, -50.0)
    assert float(trac.scale) == 0
    assert weight(learner) == 8.0  # the reference


@pytest.mark.parametrize(("option", "value"), [("discounts", (0.5,)), ("initial", 0.1), ("eps", 1.0)])
def test_each_option_is_live(option: str, value: Any) -> None:
    learners = [one_weight(build(TRAC, {"initial": 0.01, **more}, "trac")) for more in ({}, {option: value})]
    for learner in learners:
        train(learner, 3)
    assert weight(learners[0]) != weight(learners[1])


def test_a_decoupled_decay_is_part_of_the_step() -> None:
    learner = one_weight(TRAC(initial=0.01), L2(strength=0.5, decoupled=True))
    train(learner, 1)
    assert weight(learner, "trac_base") == pytest.approx((8 - 0.25) * (1 - 0.25 * 0.5))


# ------------------------------------------------------------------ on networks


def consistent(learner: Learner, trac: TRAC) -> None:
    """The weights are where reference, base and S say."""
    start, base = parameters(learner.copies["trac_reference"]), parameters(learner.copies["trac_base"])
    for name, value in learner.params.items():
        placed = start[name] + float(trac.scale) * (base[name] - start[name])
        torch.testing.assert_close(value.detach(), placed, rtol=1e-5, atol=1e-6, msg=name)


def test_base_moves_as_the_optimizer_would_and_the_weights_by_its_share() -> None:
    trac, without = TRAC(initial=0.05), rainbow()
    learner = rainbow(trac)
    train(learner, 1)
    train(without, 1)
    base, plain = parameters(learner.copies["trac_base"]), parameters(without.model)
    for name, value in plain.items():  # the first gradient is at the same weights
        torch.testing.assert_close(base[name], value, rtol=1e-5, atol=1e-6)
    train(learner, 4)
    consistent(learner, trac)
    start = parameters(learner.copies["trac_reference"])
    assert changed(start, parameters(rainbow().model)) == set()
    assert changed(start, parameters(learner.model)) == set(learner.params)
    assert faults(learner) == []


@pytest.mark.parametrize(
    "edit", [Reset(when=At(4)), ShrinkPerturb(when=At(4)), PlasticityInjection(when=At(4))], ids=lambda one: one.name
)
def test_edits_move_reference_and_base_as_they_move_the_weights(edit: Plugin) -> None:
    trac = TRAC(initial=0.05)
    learner = rainbow(trac, edit)
    train(learner, 4)
    assert float(trac.scale) > 0.01
    consistent(learner, trac)
    assert faults(learner) == []
    kept = parameters(learner.model)
    if edit.name != "shrink_perturb":
        for name, value in kept.items():
            if name.startswith("head.") and name in learner.params:
                assert torch.equal(value, learner.copies["trac_reference"].get_parameter(name))
                assert torch.equal(value, learner.copies["trac_base"].get_parameter(name))
    train(learner, 1)
    consistent(learner, trac)
    moved = {name: float((p - kept[name]).abs().max()) for name, p in parameters(learner.model).items()}
    assert max(moved.values()) < 0.01  # nothing jumps back to what it was before the edit
    assert float(trac.scale) > 0  # which the tuners survive


def test_a_partial_edit_that_spares_the_targets_is_not_undone() -> None:
    by, trac = Reset(when=Never()), TRAC(initial=0.05)
    learner = rainbow(trac, by)
    train(learner, 3)
    name = "head.value.0.weight_mu"
    where = torch.zeros_like(learner.params[name], dtype=torch.bool)
    where[2] = True
    learner.write([Overwrite(name, torch.full_like(learner.params[name], 7.0), where=where, copies="none")], by=by)
    assert not (learner.copies["target"].get_parameter(name)[2] == 7).any()
    train(learner, 1)
    torch.testing.assert_close(learner.params[name][2].detach(), torch.full((64,), 7.0), rtol=0, atol=0.01)
    consistent(learner, trac)


def test_on_sac_critics_and_actor_have_a_scale_each() -> None:
    tuners = {name: TRAC(initial=0.05) for name in ("critic", "actor")}
    trial = Trial(plugins={name: [plugin] for name, plugin in tuners.items()}).warm_up().run(4)
    for name, trac in tuners.items():
        learner = trial.agent.learners[name]
        consistent(learner, trac)
        assert faults(learner) == []
    assert float(tuners["critic"].scale) != float(tuners["actor"].scale)
    before = trial.critic.copies["trac_reference"].get_parameter("head.2.weight")
    assert all(not torch.equal(now, was) for now, was in zip(trial.critic.params["head.2.weight"], before, strict=True))


class Plain(nn.Sequential):
    """A network with batch statistics."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def test_on_a_plain_network_with_batch_statistics() -> None:
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    trac = TRAC(initial=0.05)
    learner = learner_of(Plain, inputs, None, trac)
    losses: list[Tensor] = train(learner, 20)
    consistent(learner, trac)
    assert losses[-1].mean() < losses[0].mean()


def test_a_checkpoint_goes_on_exactly() -> None:
    whole = rainbow(TRAC(initial=0.05))
    train(whole, 3)
    kept, clock = deepcopy(whole.state_dict()), deepcopy(whole.clock)
    train(whole, 3)
    resumed = rainbow(TRAC(initial=0.05))
    resumed.load_state_dict(kept)
    resumed.clock.now, resumed.clock.before = clock.now, clock.before
    train(resumed, 3)
    assert differences(state(whole), state(resumed)) == set()


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("other", [HareTortoise(), TRAC()], ids=lambda plugin: plugin.name)
def test_two_cannot_both_say_what_the_weights_are(other: Plugin) -> None:
    with pytest.raises(UsageError, match="the weights after a step; choose one"):
        refuse_conflicts([Addressed({"rainbow": plugin}) for plugin in (TRAC(), other)])


@pytest.mark.parametrize("discounts", [(), (0.0,), (1.5, 0.9)])
def test_discounts_out_of_range_are_refused(discounts: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="trac: discounts must be numbers above 0 and at most 1"):
        build(TRAC, {"discounts": list(discounts)}, "trac")
