"""Gradient clipping: three rules worked by hand, its place within SAM, and beside the agent's own."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from plastic.core.edits import Replace
from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.learning.learner import Learner
from plastic.core.modifier import Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.plugin import Plugin
from plastic.core.recipes.options import build
from plastic.core.schedule import Clock
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.modifiers.clip_gradients import ClipGradients
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.sam import SAM
from plastic.testing.invariants import faults
from tests.core.layers.critics import Critic, pair
from tests.plugins.learners import SGD, Parts, batch, learner_of, linear, norm, parameters, rainbow, train
from tests.plugins.probes.critics import Zero

STEP = partial(torch.optim.SGD, lr=1.0)  # a step is minus the gradient


def stepped(learner: Learner, given: Any = None) -> dict[str, Tensor]:
    """What the optimizer was given: with STEP, the weights before minus those after."""
    before = parameters(learner.model)
    learner.update(batch() if given is None else given)
    after = parameters(learner.model)
    return {name: before[name] - after[name] for name in learner.params}


def toy(*plugins: Plugin, optimizer: Any = STEP) -> Learner:
    """Outputs (3, 1) for the input (1, 0); the loss is their weighted sum, so gradients can be read off."""

    def make() -> nn.Module:
        return Parts(linear([[2.0, 0.0], [0.0, 4.0]]), linear([[1.5, 0.0], [0.5, 0.0]]))

    weights = torch.tensor([3.0, 4.0])
    return learner_of(
        make, torch.tensor([[1.0, 0.0]]), None, *plugins, loss=lambda out, _: out @ weights, optimizer=optimizer
    )


# Worked by hand: z = (2, 0), head (3 z', 4 z'), encoder rows (3 * 1.5 + 4 * 0.5 = 6.5) x' and 0
RAW = {
    "encoder.weight": torch.tensor([[6.5, 0.0], [0.0, 0.0]]),
    "encoder.bias": torch.tensor([6.5, 0.0]),
    "head.weight": torch.tensor([[6.0, 0.0], [8.0, 0.0]]),
    "head.bias": torch.tensor([3.0, 4.0]),
}


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_the_gradient_worked_by_hand_is_the_gradient() -> None:
    same(stepped(toy(), toy().objective.sample(torch.Generator())), RAW)


def toys(learner: Learner) -> dict[str, Tensor]:
    return stepped(learner, learner.objective.sample(torch.Generator()))


@pytest.mark.parametrize("limit", [0.5, 1.0, 100.0])
def test_by_norm_all_are_scaled_to_the_limit_and_no_further(limit: float) -> None:
    whole = (2 * 6.5**2 + 36 + 64 + 9 + 16) ** 0.5
    found = toys(toy(ClipGradients(limit=limit)))
    same(found, {name: value * min(1.0, limit / whole) for name, value in RAW.items()})
    assert norm(found) == pytest.approx(min(limit, whole), rel=1e-4)


def test_in_part_of_the_network_only_that_is_scaled_and_counts() -> None:
    head = (36 + 64 + 9 + 16) ** 0.5
    found = toys(toy(ClipGradients(limit=1.0, layers="head")))
    same(found, {n: value / head if n.startswith("head") else value for n, value in RAW.items()})


def test_by_value_each_entry_is_cut() -> None:
    same(toys(toy(ClipGradients(by="value", limit=3.5))), {n: value.clamp(-3.5, 3.5) for n, value in RAW.items()})


def test_by_value_cuts_below_too() -> None:
    learner = toy(ClipGradients(by="value", limit=0.5))
    learner.objective.loss = lambda out, _: -out.sum(1)  # type: ignore[attr-defined]
    assert min(float(value.min()) for value in toys(learner).values()) == -0.5


def test_adaptive_each_unit_is_held_to_a_share_of_its_weights() -> None:
    """Eq. 3: the rows' weights have norms 2, 4 and 1.5, 0.5; the biases are 0 and count as 1e-3."""
    same(
        toys(toy(ClipGradients(by="adaptive", limit=0.1))),
        {
            "encoder.weight": torch.tensor([[0.2, 0.0], [0.0, 0.0]]),
            "encoder.bias": torch.tensor([1e-4, 0.0]),
            "head.weight": torch.tensor([[0.15, 0.0], [0.05, 0.0]]),
            "head.bias": 1e-4 * torch.tensor([0.6, 0.8]),
        },
    )


def test_adaptive_leaves_alone_what_is_small_beside_its_weights() -> None:
    found = toys(toy(ClipGradients(by="adaptive", limit=5.0, layers="encoder.weight+head.weight")))
    wanted = {**RAW, "head.weight": torch.tensor([[6.0, 0.0], [2.5, 0.0]])}  # 8 is more than 5 * 0.5
    same(found, wanted)


def test_adaptive_an_ensembles_units_are_those_of_each_member_and_a_filter_is_a_unit() -> None:
    torch.manual_seed(0)
    given = pair()

    def found(*plugins: Plugin) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        torch.manual_seed(1)
        learner = Learner("critic", Critic, Zero(), STEP, plugins=plugins, clock=Clock())
        return parameters(learner.model), stepped(learner, given)

    _, raw = found()
    limit = 1e-3
    weights, clipped = found(ClipGradients(by="adaptive", limit=limit))
    axes = {  # the entries that belong to one unit
        "head.0.weight": (2,),
        "head.0.bias": (1,),
        "head.4.weight": (2,),
        "encoder.1.weight": (1, 2, 3),
        "encoder.1.bias": (0,),
        "trunk.0.weight": (1,),
    }
    for name, dims in axes.items():
        most = limit * vector_norm(weights[name], dim=dims, keepdim=True).clamp(min=1e-3)
        size = vector_norm(raw[name], dim=dims, keepdim=True).clamp(min=1e-6)
        torch.testing.assert_close(clipped[name], raw[name] * (most / size).clamp(max=1.0), rtol=2e-3, atol=3e-8)
    assert raw.keys() == clipped.keys() >= axes.keys()


@pytest.mark.parametrize("by", ["norm", "value", "adaptive"])
def test_left_out_the_limit_is_the_rules_own(by: Any) -> None:
    own = {"norm": 1.0, "value": 1.0, "adaptive": 0.01}[by]
    same(toys(toy(ClipGradients(by=by))), toys(toy(ClipGradients(by=by, limit=own))))


def test_a_gradient_of_zero_stays_zero() -> None:
    for by in ("norm", "value", "adaptive"):
        learner = toy(ClipGradients(by=by))
        learner.objective.loss = lambda out, _: 0 * out.sum(1)  # type: ignore[attr-defined]
        assert not any(value.any() for value in toys(learner).values())


# ------------------------------------------------------------------ among the others


@pytest.mark.parametrize(("own", "limit", "wanted"), [(0.01, 0.1, 0.01), (10.0, 0.1, 0.1), (None, 0.1, 0.1)])
def test_the_agents_own_clipping_comes_first_so_the_smaller_norm_holds(
    own: float | None, limit: float, wanted: float
) -> None:
    learner = rainbow(ClipGradients(limit=limit), optimizer=STEP, max_grad_norm=own)
    assert norm(stepped(learner)) == pytest.approx(wanted, rel=1e-3)


class Watching(OptimizerModifier):
    """Remembers the norms of the gradients it is given."""

    name = "watching"

    def __init__(self) -> None:
        self.norms: list[float] = []

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        self.norms.append(norm(gradients))
        return losses, gradients


def test_both_passes_of_sam_are_clipped_wherever_it_stands_in_the_list() -> None:
    for order in (0, 1):
        watching, clip, sam = Watching(), ClipGradients(limit=0.01), SAM(rho=0.1)
        learner = rainbow(*([watching, clip, sam] if order else [watching, sam, clip]), max_grad_norm=None)
        train(learner, 1)
        assert watching.norms == pytest.approx([0.01, 0.01], rel=1e-3)


def test_the_length_of_sams_ascent_does_not_depend_on_it() -> None:
    clipped = rainbow(SAM(rho=0.1, redraw="none"), ClipGradients(limit=0.01), optimizer=STEP, max_grad_norm=None)
    plain = rainbow(SAM(rho=0.1, redraw="none"), optimizer=STEP, max_grad_norm=None)
    short, long = stepped(clipped), stepped(plain)
    for name, value in long.items():
        torch.testing.assert_close(short[name], value * 0.01 / norm(long), rtol=1e-3, atol=1e-6)


def test_a_coupled_decay_is_not_clipped() -> None:
    learner = rainbow(L2(strength=5.0), ClipGradients(limit=1e-8), optimizer=STEP)
    before = parameters(learner.model)
    for name, step in stepped(learner).items():
        torch.testing.assert_close(step, 5 * before[name], rtol=1e-4, atol=1e-6)


def test_two_of_them_act_in_the_order_of_the_list() -> None:
    found = toys(toy(ClipGradients(by="value", limit=1.0), ClipGradients(limit=1.0)))
    entries = {name: value.clamp(-1, 1) for name, value in RAW.items()}
    same(found, {name: value / norm(entries) for name, value in entries.items()})


def test_it_goes_on_with_the_new_head_of_an_injection() -> None:
    for by in ("norm", "adaptive"):
        injection = PlasticityInjection()
        clip = ClipGradients(by=by, limit=1e-6)
        learner = rainbow(clip, injection, optimizer=SGD)
        train(learner, 1)
        learner.write([Replace("head", injection.inject)], by=injection)
        before = parameters(learner.model)
        train(learner, 1)
        assert faults(learner) == []
        moved = {n: before[n] - p for n, p in parameters(learner.model).items() if n in learner.params}
        assert any(n.startswith("head.new.") and value.any() for n, value in moved.items())
        assert norm(moved) < 1e-4


# ------------------------------------------------------------------ options


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_a_limit_is_above_0(limit: float) -> None:
    with pytest.raises(UsageError, match="clip_gradients: limit must be above 0"):
        build(ClipGradients, {"limit": limit}, "clip_gradients")


def test_layers_in_which_nothing_is_trained_are_refused() -> None:
    with pytest.raises(NothingToActOn, match="clip_gradients: no trained parameter matches layers=hed"):
        toy(ClipGradients(layers="hed"))
