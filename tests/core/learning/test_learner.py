"""The learner: updates, looking, edits in weights, copies and optimizer state together, checkpoints."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import hypothesis
import pytest
import torch
from attrs import define, field, frozen
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from plastic.core.edits import Edit, Forget, Overwrite, Replace, Tune
from plastic.core.errors import UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import NoisyLinear
from plastic.core.learning.learner import Learner
from plastic.core.learning.plugin_state import load_plugin_state
from plastic.core.modifier import MakeOptimizer, OptimizerModifier, Parameters
from plastic.core.probe import Probe
from plastic.core.schedule import Always, At, Every, Never, Schedule
from plastic.core.subject import Subject
from plastic.testing.invariants import faults
from tests.core.stubs import (
    ADAM,
    SGD,
    Fit,
    Looking,
    Net,
    Scripted,
    Widen,
    batch_of,
    exact,
    learner_with,
    noisy_net,
    norm_net,
    train,
)

NAMES = ["encoder.0.weight", "encoder.0.bias", "head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias"]


def remembered(learner: Learner, name: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = learner.optimizer.state[learner.params[name]]
    return state


def write(learner: Learner, *edits: Edit) -> None:
    learner.write(edits, by=Scripted(lambda subject: ()))


# ------------------------------------------------------------------ updates


def test_an_update_is_one_step_of_the_optimizer_on_the_weighted_mean() -> None:
    weights = torch.linspace(0, 1, 8)
    learner = learner_with(objective=Fit(weights), optimizer=SGD, target=False)
    stream = deepcopy(learner._augmentation)
    model = deepcopy(learner.model)
    losses = learner.update(batch_of(1))
    augmented = batch_of(1) + 0.1 * torch.randn(8, 4, generator=stream)
    expected = (model(augmented) - 1).square().sum(1)
    torch.testing.assert_close(losses, expected)
    (weights * expected).mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.1 * parameter.grad)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(learner.params[name], parameter)
    assert all(parameter.grad is None for parameter in learner.params.values())


def test_copies_follow_after_the_step() -> None:
    learner = learner_with()
    before = {name: p.clone() for name, p in learner.copies["target"].named_parameters()}
    learner.update(batch_of(1))
    for name, own in learner.copies["target"].named_parameters():
        torch.testing.assert_close(own, (before[name] + learner.params[name]) / 2)


def test_a_penalty_enters_every_evaluation_at_the_weights_evaluated() -> None:
    @define(eq=False)
    class Decay(PlasticityIntervention):
        name = "decay"
        seen: list[float] = field(factory=list, init=False)
        inputs: list[Tensor] = field(factory=list, init=False)

        def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
            size = sum((p.square().sum() for p in model.parameters()), torch.zeros(()))
            self.seen.append(size.item())
            self.inputs += inputs
            return 3 * size

    @frozen(eq=False)
    class Twice(OptimizerModifier):
        name = "twice"

        def gradients(self, evaluate: Any, params: Parameters) -> Any:
            evaluate()
            return evaluate({name: 2 * value.detach() for name, value in params.items()})

    decay, objective = Decay(), Fit()
    learner = learner_with(decay, Twice(), objective=objective, optimizer=SGD)
    start = {name: p.detach().clone() for name, p in learner.params.items()}
    plain = learner_with(Twice(), objective=Fit(), optimizer=SGD)
    learner.update(batch_of(1))
    plain.update(batch_of(1))
    assert decay.seen[1] == pytest.approx(4 * decay.seen[0])
    assert decay.inputs[0] is objective.augmented[0]
    for name, value in learner.params.items():  # 0.1 is the rate, and 2 * 3 * (2 w) the penalty's gradient
        torch.testing.assert_close(value, plain.params[name] - 0.1 * 12 * start[name], rtol=1e-4, atol=1e-5)


def test_losses_are_unweighted_and_without_penalty() -> None:
    @frozen(eq=False)
    class Much(PlasticityIntervention):
        name = "much"

        def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> float:
            return 1e6

    bare = learner_with().update(batch_of(1))
    assert torch.equal(learner_with(Much(), objective=Fit(torch.zeros(8))).update(batch_of(1)), bare)


def test_averages_are_means_since_the_last_call() -> None:
    learner = learner_with(max_grad_norm=1e-3)
    losses = [learner.update(batch_of(update)).mean().item() for update in (1, 2, 3)]
    averages = learner.averages()
    assert averages.keys() == {"loss", "gradient_norm"}
    assert averages["loss"] == pytest.approx(sum(losses) / 3)
    assert averages["gradient_norm"] > 1e-3  # before clipping
    assert learner.averages() == {}
    last = learner.update(batch_of(4)).mean().item()
    assert learner.averages()["loss"] == pytest.approx(last)


def test_the_first_update_that_went_wrong_is_remembered() -> None:
    learner = learner_with()
    train(learner, 2)
    assert learner.bad_update() is None
    learner.update(torch.full((8, 4), torch.inf))
    learner.update(batch_of(4))
    assert learner.bad_update() == 3


def test_a_gradient_that_is_not_finite_is_seen_in_its_own_update() -> None:
    @frozen(eq=False)
    class Root(PlasticityIntervention):
        name = "root"

        def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
            return (0 * model.get_parameter("head.2.bias")).sum().sqrt()  # 0, of an infinite slope

    for limit, seen in ((10.0, [1, 1]), (None, [1, 2])):  # without a norm by the weights, and then by the next loss
        learner = learner_with(Root(), max_grad_norm=limit)
        assert learner.update(batch_of(1)).isfinite().all()
        assert learner.bad_update() == seen[0]
        learner.update(batch_of(2))
        assert learner.bad_update() == seen[1]


def test_weights_that_an_edit_broke_are_seen_before_a_checkpoint_holds_them() -> None:
    learner = learner_with()
    train(learner, 2)
    write(learner, Overwrite("head.2.bias", torch.full((2,), torch.nan)))
    assert learner.bad_update() == 2


def test_the_knob_of_the_learning_rate_is_obeyed() -> None:
    knobs: dict[str, float | int | bool] = {"learning_rate": 0.5}
    learner = learner_with(optimizer=SGD, knobs=knobs)
    learner.update(batch_of(1))
    assert learner.optimizer.param_groups[0]["lr"] == 0.5
    knobs["learning_rate"] = 0.0
    before = exact(learner.model.state_dict())
    learner.update(batch_of(2))
    assert exact(learner.model.state_dict()) == before


# ------------------------------------------------------------------ modifiers


def test_a_modifier_may_bring_another_optimizer_and_writes_after_each_step_that_is_due() -> None:
    made: list[str] = []

    @define(eq=False)
    class Other(OptimizerModifier):
        name = "other"
        when: Schedule = Every(2)
        rates: list[float] = field(factory=list, init=False)

        def optimizer(self, make: MakeOptimizer) -> MakeOptimizer:
            def made_here(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
                made.append(type(make(parameters := list(parameters))).__name__)
                return torch.optim.SGD(parameters, lr=0.25)

            return made_here

        def after_step(self, params: Parameters, lr: float | Tensor) -> None:
            self.rates.append(float(lr))
            for value in params.values():
                value.zero_()

    other = Other()
    learner = learner_with(other)
    assert made == ["Adam"]
    train(learner, 1)
    assert other.rates == []
    assert all(parameter.any() for parameter in learner.params.values())
    train(learner, 1)
    assert other.rates == [0.25]
    assert not any(parameter.any() for parameter in learner.params.values())


def test_a_modifier_is_shown_the_network_before_each_optimizer_is_made() -> None:
    seen: list[tuple[str, list[str]]] = []

    @frozen(eq=False)
    class Attentive(OptimizerModifier):
        name = "attentive"

        def shown(self, model: nn.Module) -> None:
            seen.append(("shown", list(dict(model.named_parameters()))))

        def optimizer(self, make: MakeOptimizer) -> MakeOptimizer:
            def made(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
                seen.append(("made", []))
                return make(parameters)

            return made

    learner = learner_with(Attentive(), Widen(when=Never()))
    assert seen == [("shown", NAMES), ("made", [])]
    widen = learner.plugins[1]
    assert isinstance(widen, Widen)
    learner.write([Replace("head", widen.wrap)], by=widen)
    assert seen[2:] == [("shown", list(dict(learner.model.named_parameters()))), ("made", [])]
    assert seen[2][1] != NAMES


def test_the_copy_to_evaluate_is_the_one_that_a_modifier_names() -> None:
    @frozen(eq=False)
    class Mean(OptimizerModifier):
        name = "mean"

        @property
        def evaluation(self) -> str:
            return "mean"

    assert learner_with().evaluation is None
    assert learner_with(Mean()).evaluation == "mean"


@define(eq=False)
class Shadow(OptimizerModifier):
    """Keeps a copy of its own."""

    name = "shadow"
    shadow: Mapping[str, Tensor] = field(factory=dict, init=False, metadata={"state": False})
    told: list[list[str]] = field(factory=list, init=False)

    def start(self, params: Parameters, lag: Callable[[str], Mapping[str, Tensor]]) -> None:
        self.shadow = lag("shadow")

    def renewed(self, names: Iterable[str]) -> None:
        self.told.append(list(names))


def test_a_lag_starts_equal_is_left_alone_and_every_edit_reaches_it() -> None:
    shadow = Shadow()
    learner = learner_with(shadow)
    start = exact(shadow.shadow)
    assert list(shadow.shadow) == NAMES
    assert start == exact({name: p.detach() for name, p in learner.params.items()})
    train(learner, 3)
    assert exact(shadow.shadow) == start
    write(learner, Overwrite("head.2.bias", lambda tensor: tensor + 1))
    raised = exact(shadow.shadow)
    assert [name for name in NAMES if raised[name] != start[name]] == ["head.2.bias"]
    for copies in (["target"], "none"):  # which say what becomes of the copies that follow
        write(learner, Overwrite("head.2.bias", lambda tensor: tensor + 1, copies=copies))
        before, raised = raised, exact(shadow.shadow)
        assert [name for name in NAMES if raised[name] != before[name]] == ["head.2.bias"]


def test_a_name_of_a_copy_that_is_taken_is_refused() -> None:
    learner = learner_with(Shadow())
    with pytest.raises(UsageError, match="fit has a copy 'shadow' already; choose another name"):
        learner.follow("shadow", rate=0.5)


def test_whoever_remembers_weights_is_told_of_what_began_anew_alone() -> None:
    shadow, widen = Shadow(), Widen(when=Never())
    learner = learner_with(shadow, widen)
    mask = torch.tensor([True, False])
    write(
        learner,
        Overwrite("head.2.bias", torch.zeros(2)),
        Overwrite("head.0.bias", torch.zeros(5)),
        Overwrite("head.2.bias", torch.zeros(2), where=mask),
    )
    write(learner, Overwrite("head.2.bias", torch.zeros(2), where=mask))
    write(learner, Overwrite("head.0.bias", lambda bias: bias / 2, moments="keep"))
    write(learner, Forget(["head.2.bias"]))
    assert shadow.told == widen.told == [["head.2.bias", "head.0.bias"]]


# ------------------------------------------------------------------ Overwrite and Forget


def test_a_whole_overwrite_clears_exactly_that_parameters_moments_and_step_in_place() -> None:
    learner = learner_with()
    train(learner, 3)
    before = {name: exact(remembered(learner, name)) for name in NAMES}
    weights = exact(learner.model.state_dict())
    tensors = dict(remembered(learner, "head.0.weight"))
    parameter = learner.params["head.0.weight"]
    value = torch.randn(5, 6)
    write(learner, Overwrite("head.0.weight", value))
    assert learner.params["head.0.weight"] is parameter
    assert torch.equal(parameter, value)
    state = remembered(learner, "head.0.weight")
    assert state.keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert all(state[key] is tensors[key] for key in tensors)
    assert not any(tensor.any() for tensor in state.values())
    for name in NAMES:
        if name != "head.0.weight":
            assert exact(remembered(learner, name)) == before[name]
            assert exact(learner.model.state_dict())[name] == weights[name]
    assert faults(learner) == []


@pytest.mark.parametrize(
    ("options", "cleared", "step"),
    [
        ({}, True, 3),
        ({"step": "clear"}, True, 0),
        ({"step": "keep"}, True, 3),
        ({"moments": "keep"}, False, 3),
        ({"moments": "keep", "step": "clear"}, False, 0),
    ],
)
def test_a_partial_overwrite_clears_the_moments_there(options: dict[str, Any], cleared: bool, step: int) -> None:
    learner = learner_with()
    train(learner, 3)
    state = remembered(learner, "head.0.weight")
    before = {key: value.clone() for key, value in state.items()}
    old = learner.params["head.0.weight"].detach().clone()
    where = torch.zeros(5, 6, dtype=torch.bool)
    where[2] = True
    write(learner, Overwrite("head.0.weight", torch.full((5, 6), 9.0), where=where, **options))
    assert torch.equal(learner.params["head.0.weight"], torch.where(where, 9.0, old))
    for key in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(state[key], before[key] * ~where if cleared else before[key])
        assert before[key][2].any()
    assert state["step"].item() == step


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({}, 0),
        ({"step": "keep"}, 3),
        ({"moments": "keep"}, 3),
        ({"moments": "keep", "step": "clear"}, 0),
    ],
)
def test_what_becomes_of_the_step_count_of_a_whole_tensor_can_be_said(options: dict[str, Any], step: int) -> None:
    learner = learner_with()
    train(learner, 3)
    write(learner, Overwrite("head.2.bias", torch.zeros(2), **options))
    state = remembered(learner, "head.2.bias")
    assert state["step"].item() == step
    assert state["exp_avg"].any() == (options.get("moments") == "keep")


@pytest.mark.parametrize(
    ("edit", "factor"),
    [
        (partial(Overwrite), 1.0),  # cleared together: as long as a first step
        (partial(Overwrite, step="keep"), 0.1 / 0.001**0.5),  # 3.16 times too long
        (partial(Overwrite, moments="keep", step="clear"), 0.001**0.5 / 0.1),  # 0.316 of it
        (partial(Overwrite, moments="keep"), 1.0),
    ],
)
def test_cleared_moments_under_an_old_step_count_make_a_wrong_step(
    edit: Callable[..., Overwrite], factor: float
) -> None:
    class Constant(Fit):
        def losses(self, model: nn.Module, batch: Tensor, target: Tensor) -> Tensor:
            return model.get_parameter("head.2.bias").sum().expand(len(batch))  # of slope 1 everywhere

    rate = 1e-3
    learner = learner_with(objective=Constant(), optimizer=partial(torch.optim.Adam, lr=rate, eps=1e-12))
    learner.update(batch_of(1))
    state = remembered(learner, "head.2.bias")
    state["step"].fill_(1e6)  # where Adam comes to after many such steps
    state["exp_avg"].fill_(1.0)
    state["exp_avg_sq"].fill_(1.0)
    write(learner, edit("head.2.bias", torch.zeros(2)))
    learner.update(batch_of(2))
    torch.testing.assert_close(learner.params["head.2.bias"].detach(), torch.full((2,), -rate * factor))


def test_forget_clears_moments_and_step_and_leaves_the_weights() -> None:
    learner = learner_with()
    train(learner, 3)
    weights = exact(learner.model.state_dict())
    kept = exact(remembered(learner, "encoder.0.bias"))
    write(learner, Forget(["head.0.weight", "head.2.bias"]))
    assert exact(learner.model.state_dict()) == weights
    for name in ("head.0.weight", "head.2.bias"):
        assert not any(tensor.any() for tensor in remembered(learner, name).values())
    assert exact(remembered(learner, "encoder.0.bias")) == kept


def test_a_reset_before_the_first_update_leaves_no_empty_state_behind() -> None:
    learner = learner_with()
    write(learner, Overwrite("head.2.bias", torch.ones(2)), Forget(NAMES))
    assert len(learner.optimizer.state) == 0


@pytest.mark.parametrize(
    ("copies", "written"),
    [("all", {"target", "other"}), ("none", set()), (["other"], {"other"}), (("target", "other"), {"target", "other"})],
)
def test_the_copies_that_are_written(copies: Any, written: set[str]) -> None:
    learner = learner_with()
    learner.follow("other", rate=0.1)
    train(learner, 2)
    before = {name: exact(copy.state_dict()) for name, copy in learner.copies.items()}
    write(learner, Overwrite("head.2.bias", torch.full((2,), 7.0), copies=copies))
    for name, copy in learner.copies.items():
        assert (copy.get_parameter("head.2.bias") == 7).all() == (name in written)
        after = exact(copy.state_dict())
        assert {key for key in after if after[key] != before[name][key]} == (
            {"head.2.bias"} if name in written else set()
        )


def test_a_buffer_is_written_too_and_copies_get_it() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))
        return model.requires_grad_(True)

    learner = Learner("small", make, Fit(), SGD)
    learner.follow("target", rate=0.5)
    where = torch.tensor([False, True, False])
    write(learner, Overwrite("1.running_mean", torch.full((3,), 7.0), where=where))
    for model in (learner.model, learner.copies["target"]):
        assert model.get_buffer("1.running_mean").tolist() == [0.0, 7.0, 0.0]
    with pytest.raises(UsageError, match=r"edits name the parameter '1\.running_median', which small has not"):
        write(learner, Overwrite("1.running_median", torch.zeros(3)))


def test_a_function_is_given_each_ones_own_tensor_once() -> None:
    learner = learner_with()
    train(learner, 2)
    own = [
        learner.params["head.2.bias"].detach().clone(),
        learner.copies["target"].get_parameter("head.2.bias").clone(),
    ]
    assert not torch.equal(*own)
    given = []

    def halved(tensor: Tensor) -> Tensor:
        given.append(tensor.clone())
        return tensor.mul_(0.5)  # a copy is handed out: writing it must not count twice

    mask = torch.tensor([True, False])
    write(learner, Overwrite("head.2.bias", halved, where=mask))
    assert exact(given) == exact(own)
    for tensor, before in zip(
        (learner.params["head.2.bias"], learner.copies["target"].get_parameter("head.2.bias")), own, strict=True
    ):
        assert torch.equal(tensor, torch.where(mask, before / 2, before))


def test_a_copy_of_a_part_is_written_where_it_has_the_parameter() -> None:
    learner = learner_with()
    part = learner.follow("part", rate=0.5, path="head")
    write(learner, Overwrite("head.2.bias", torch.full((2,), 7.0)), Overwrite("encoder.0.bias", torch.zeros(6)))
    assert (part.get_parameter("2.bias") == 7).all()
    assert faults(learner) == []


def test_a_value_of_another_type_is_converted() -> None:
    learner = learner_with()
    write(learner, Overwrite("head.2.bias", torch.tensor([1, 2])))
    assert learner.params["head.2.bias"].tolist() == [1, 2]
    assert learner.params["head.2.bias"].dtype == torch.float32


def test_what_is_overwritten_keeps_no_hold_on_the_value() -> None:
    learner, value = learner_with(), torch.ones(2, requires_grad=True)
    write(learner, Overwrite("head.2.bias", value))
    train(learner, 1)
    assert torch.equal(value, torch.ones(2))
    assert value.grad is None


def test_edits_are_carried_out_in_order() -> None:
    learner = learner_with()
    write(
        learner,
        Overwrite("head.2.bias", torch.ones(2)),
        Overwrite("head.2.bias", lambda tensor: tensor + 1),
        Overwrite("head.2.bias", lambda tensor: tensor * 10),
    )
    assert learner.params["head.2.bias"].tolist() == [20, 20]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            Overwrite("head.9.bias", torch.zeros(2)),
            "scripted (from tests): edits name the parameter 'head.9.bias', which fit has not",
        ),
        (
            Overwrite("head", torch.zeros(2)),
            "scripted (from tests): edits name the parameter 'head', which fit has not",
        ),
        (Overwrite("", torch.zeros(2)), "scripted (from tests): edits name the parameter '', which fit has not"),
        (Forget(["head.9.bias"]), "scripted (from tests): edits name the parameter 'head.9.bias', which fit has not"),
        (
            Overwrite("head.2.bias", torch.zeros(3)),
            "scripted (from tests): head.2.bias has the shape (2,), not (3,) as its overwrite",
        ),
        (
            Overwrite("head.2.bias", lambda tensor: tensor[:1]),
            "scripted (from tests): head.2.bias has the shape (2,), not (1,) as its overwrite",
        ),
        (
            Overwrite("head.2.weight", torch.zeros(2, 5), where=torch.ones(5, dtype=torch.bool)),
            "scripted (from tests): head.2.weight has the shape (2, 5), not (5,) as its mask",
        ),
        (
            Overwrite("head.2.bias", torch.zeros(2), copies=["traget"]),
            "scripted (from tests): no copy 'traget' in fit; it has target",
        ),
        (Tune("discuont", 0.9), "scripted (from tests): no knob 'discuont' in this run; it has discount, replay_ratio"),
        (Replace("head", lambda module: module), "scripted (from tests): Replace.wrap must be a method of the plugin"),
        (
            Replace("haed", lambda module: module),
            "scripted (from tests): Replace names the module 'haed', which fit has not",
        ),
        (Replace("", lambda module: module), "scripted (from tests): Replace names the module '', which fit has not"),
        ("reset", "scripted (from tests): edits gave 'reset', which is no Overwrite, Replace, Forget or Tune"),
        (None, "scripted (from tests): edits gave None, which is no Overwrite, Replace, Forget or Tune"),
    ],
)
def test_an_edit_that_cannot_be_carried_out_is_refused_by_the_plugins_name(edit: Any, words: str) -> None:
    learner = learner_with(Scripted(lambda subject: [edit]), knobs={"replay_ratio": 2.0, "discount": 0.99})
    with pytest.raises(UsageError) as caught:
        train(learner, 1)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)
    assert all(module.training for module in learner.model.modules())


def test_a_knob_is_tuned() -> None:
    knobs: dict[str, float | int | bool] = {"discount": 0.9, "augmentation": False}
    seen: list[Any] = []

    def script(subject: Subject) -> Iterator[Edit]:
        seen.append(dict(subject.knobs))
        yield Tune("augmentation", True)

    train(learner_with(Scripted(script), knobs=knobs), 2)
    assert seen == [{"discount": 0.9, "augmentation": False}, {"discount": 0.9, "augmentation": True}]
    assert knobs == {"discount": 0.9, "augmentation": True}


# ------------------------------------------------------------------ Replace


def test_after_a_replace_the_optimizer_holds_exactly_what_is_trained_and_remembers_what_stays() -> None:
    widen = Widen(when=Never())
    learner = learner_with(widen)
    train(learner, 2)
    kept = {name: exact(remembered(learner, name)) for name in NAMES}
    weights = {name: exact(p.detach()) for name, p in learner.params.items()}
    learner.optimizer.param_groups[0]["lr"] = 0.123
    write_only(learner, widen)
    moved = {f"head.0.{name.removeprefix('head.')}" if name.startswith("head") else name: name for name in NAMES}
    assert faults(learner) == []
    assert learner.params.keys() == {*moved, "head.1.weight", "head.1.bias"}
    for now, before in moved.items():
        assert exact(remembered(learner, now)) == kept[before]
        assert exact(learner.params[now].detach()) == weights[before]
    assert len(learner.optimizer.state) == len(NAMES)  # of what is new, nothing yet
    assert learner.optimizer.param_groups[0]["lr"] == 0.123
    new = learner.params["head.1.weight"].detach().clone()
    assert torch.equal(learner.copies["target"].get_parameter("head.1.weight"), new)
    train(learner, 1)
    assert not torch.equal(learner.params["head.1.weight"], new)  # it trains
    assert len(learner.optimizer.state) == len(learner.params)


def write_only(learner: Learner, widen: Widen) -> None:
    learner.write([Replace(widen.path, widen.wrap)], by=widen)


def test_what_a_replace_froze_leaves_the_optimizer_and_follows_on() -> None:
    widen = Widen(when=At(2), freeze=True)
    learner = learner_with(widen)
    train(learner, 2)
    assert faults(learner) == []
    assert list(learner.params) == ["encoder.0.weight", "encoder.0.bias", "head.1.weight", "head.1.bias"]
    assert len(learner.optimizer.state) == 2
    frozen = exact(learner.model.get_submodule("head.0").state_dict())
    train(learner, 60)
    assert exact(learner.model.get_submodule("head.0").state_dict()) == frozen
    for name, own in learner.copies["target"].named_parameters():
        torch.testing.assert_close(own, learner.model.get_parameter(name), atol=0.05, rtol=0)
    assert faults(learner) == []


def test_after_a_replace_everybody_starts_again() -> None:
    shadow, widen = Shadow(), Widen(when=Every(2))
    learner = learner_with(shadow, widen)
    assert widen.starts == 1
    train(learner, 4)
    assert widen.starts == 3
    assert list(shadow.shadow) == list(learner.params)
    assert faults(learner) == []
    lag = dict(learner.copies["shadow"].named_parameters())
    assert all(shadow.shadow[name] is lag[name] for name in shadow.shadow)


def test_a_lag_has_the_frozen_values_of_the_model_after_a_replace() -> None:
    learner = learner_with(Shadow(), Widen(when=At(3), freeze=True))
    train(learner, 3)
    frozen = learner.model.get_submodule("head.0").state_dict()
    assert exact(learner.copies["shadow"].get_submodule("head.0").state_dict()) == exact(frozen)


@pytest.mark.parametrize("path", ["head", "encoder"])
def test_a_copy_of_the_very_part_that_is_replaced_gets_it_too(path: str) -> None:
    @frozen(eq=False)
    class Around(PlasticityIntervention):
        name = "around"
        when: Schedule = At(2)

        def edits(self, subject: Subject) -> Iterator[Edit]:
            yield Replace(path, self.wrap)

        def wrap(self, module: nn.Module) -> nn.Module:
            return nn.Sequential(module, nn.LayerNorm(2 if path == "head" else 6))

    learner = learner_with(Around())
    learner.follow("part", rate=0.5, path=path)
    train(learner, 3)
    assert faults(learner) == []
    assert isinstance(learner.copies["part"].get_submodule("1"), nn.LayerNorm)
    assert all(module.training for module in learner.copies["part"].modules())


def test_a_replace_around_the_part_that_a_copy_follows_is_refused() -> None:
    learner = learner_with(Widen())
    learner.follow("part", rate=0.5, path="head.0")
    with pytest.raises(
        UsageError, match=r"widen \(from tests\): cannot replace 'head' around 'head\.0', which the copy 'part' follows"
    ):
        train(learner, 1)


def test_a_replace_by_another_plugins_method_is_refused() -> None:
    widen = Widen()
    learner = learner_with(Scripted(lambda subject: [Replace("head", widen.wrap)]))
    with pytest.raises(UsageError, match=r"scripted \(from tests\): Replace\.wrap must be a method of the plugin"):
        train(learner, 1)


def test_replaces_draw_anew_each_time_and_the_same_in_model_and_copies() -> None:
    learner = learner_with(Widen(when=Every(1)))
    train(learner, 1)
    first = learner.params["head.1.weight"].detach().clone()
    train(learner, 1)
    second = learner.params["head.1.weight"].detach().clone()
    assert not torch.equal(first, second)
    assert torch.equal(learner.copies["target"].get_parameter("head.1.weight"), second)


# ------------------------------------------------------------------ fresh


def test_fresh_has_the_same_structure_wraps_included_and_other_values() -> None:
    looked: list[tuple[nn.Module, nn.Module]] = []

    def look(subject: Subject) -> dict[str, Tensor]:
        looked.append((subject.fresh(), subject.fresh()))
        return {}

    @frozen(eq=False)
    class Norm(PlasticityIntervention):
        name = "norm"

        def build(self, model: nn.Module) -> nn.Module:
            return nn.Sequential(model, nn.LayerNorm(2))

    probe = Looking(look)
    learner = learner_with(Norm(), probe, Widen(path="0.head", when=At(1), freeze=True))
    train(learner, 2)
    (before, same), (after, _) = looked
    assert before.state_dict().keys() == same.state_dict().keys() != after.state_dict().keys()
    assert exact(before.state_dict()) == exact(same.state_dict())  # within a tick it repeats
    assert str(after) == str(learner.model)
    requires = {name: parameter.requires_grad for name, parameter in learner.model.named_parameters()}
    assert {name: parameter.requires_grad for name, parameter in after.named_parameters()} == requires
    for name, parameter in after.named_parameters():
        if "LayerNorm" not in type(learner.model.get_submodule(name.rpartition(".")[0])).__name__:
            assert not torch.equal(parameter, learner.model.get_parameter(name))
    assert not any(module.training for module in after.modules())  # as the subject's model is
    assert not torch.equal(before.get_parameter("0.encoder.0.bias"), after.get_parameter("0.encoder.0.bias"))


def test_two_plugins_of_a_name_draw_from_streams_of_their_own() -> None:
    seen = []

    def script(subject: Subject) -> list[Edit]:
        seen.append((exact(subject.fresh().state_dict()), torch.rand(1, generator=subject.generator).item()))
        return []

    train(learner_with(Scripted(script), Scripted(script)), 1)
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]


# ------------------------------------------------------------------ looking


def test_probes_see_one_unedited_state_and_interventions_each_others_results() -> None:
    seen: list[tuple[str, float]] = []

    def bias(subject: Subject) -> float:
        return subject.model.get_parameter("head.2.bias")[0].item()

    def adds_one(name: str) -> Scripted:
        def script(subject: Subject) -> Iterator[Edit]:
            seen.append((name, bias(subject)))
            yield Overwrite("head.2.bias", lambda tensor: tensor + 1)
            seen.append((name, bias(subject)))  # its own edits are written after it has looked to the end

        return Scripted(script)

    def look(subject: Subject) -> dict[str, Tensor]:
        seen.append(("probe", bias(subject)))
        return {"bias": torch.tensor(bias(subject))}

    learner = learner_with(adds_one("first"), Looking(look), adds_one("second"), Looking(look), optimizer=SGD)
    write(learner, Overwrite("head.2.bias", torch.zeros(2)))
    measured = learner.tend()
    assert seen == [("probe", 0), ("probe", 0), ("first", 0), ("first", 0), ("second", 1), ("second", 1)]
    assert measured == {"looking/bias": torch.tensor(0.0), "looking-2/bias": torch.tensor(0.0)}
    assert bias_of(learner) == 2


def bias_of(learner: Learner) -> float:
    return learner.params["head.2.bias"][0].item()


def test_all_look_at_one_batch_which_is_drawn_only_where_somebody_looks() -> None:
    objective, seen = Fit(), []

    def look(subject: Subject) -> dict[str, Tensor]:
        seen.append(subject.batch)
        assert subject.inputs[0] is subject.batch
        return {}

    learner = learner_with(Looking(look, when=Every(2)), Looking(look, when=Every(2)), objective=objective)
    train(learner, 4)
    assert objective.calls["sample"] == 2
    assert seen[0] is seen[1]
    assert seen[2] is seen[3]
    assert not torch.equal(seen[0], seen[2])
    train(learner_with(Scripted(lambda subject: []), objective=(blind := Fit())), 2)
    assert blind.calls["sample"] == 0


def test_the_loss_looked_at_has_a_fixed_target_no_noise_and_no_weights() -> None:
    losses = []

    def look(subject: Subject) -> dict[str, Tensor]:
        target = subject.copies["target"](subject.batch) + 1
        expected = (subject.model(subject.batch) - target).square().sum(1)
        losses.append(subject.loss(subject.model))
        assert torch.equal(losses[-1], expected)
        assert torch.equal(subject.loss(subject.model), losses[-1])
        other = deepcopy(subject.model)
        nn.init.zeros_(other.get_parameter("head.2.bias_mu"))
        nn.init.zeros_(other.get_parameter("head.2.weight_mu"))
        torch.testing.assert_close(subject.loss(other), target.square().sum(1))
        assert losses[-1].requires_grad
        return {}

    objective = Fit(torch.zeros(8))
    learner = learner_with(Looking(look), make=noisy_net, objective=objective)
    train(learner, 2)
    assert len(losses) == 2
    assert objective.calls["target"] == 4  # one an update, one a subject


def measurements(subject: Subject) -> dict[str, Tensor]:
    """A probe that does all that a probe may do."""
    torch.rand(3)
    torch.randn(2, generator=subject.generator)
    subject.fresh()
    loss = subject.loss(subject.model).mean()
    torch.autograd.grad(loss, [p for p in subject.model.parameters() if p.requires_grad], allow_unused=True)
    subject.model(*subject.inputs)
    return {"loss": loss.detach()}


@pytest.mark.parametrize("make", [Net, noisy_net, norm_net, lambda: Net(norm=nn.Dropout(0.5))])
def test_a_probe_leaves_the_run_as_it_is_bit_for_bit(make: Callable[[], nn.Module]) -> None:
    def noised(subject: Subject) -> list[Edit]:  # draws from the global generator, which the probe draws from too
        return [Overwrite("encoder.0.bias", torch.randn(6) + torch.randn(6, generator=subject.generator))]

    def final(*probes: Looking) -> Any:
        torch.manual_seed(3)
        learner = learner_with(Scripted(noised, when=Every(3)), *probes, make=make)
        train(learner, 7)
        state = learner.state_dict()
        return exact([state[key] for key in ("model", "copies", "optimizer", "noise", "augmentation", "averages")])

    bare = final()
    assert final(Looking(measurements)) == bare
    assert final(Looking(measurements, when=Every(2)), Looking(measurements)) == bare


def test_looking_leaves_modes_generators_and_hooks_as_they_were() -> None:
    modes: list[set[bool]] = []

    def look(subject: Subject) -> dict[str, Tensor]:
        networks = (subject.model, *subject.copies.values())
        modes.append({module.training for network in networks for module in network.modules()})
        return measurements(subject)

    learner = learner_with(
        Looking(look), Scripted(lambda subject: [Overwrite("head.2.bias", torch.rand(2))]), make=norm_net
    )
    learner.model.get_submodule("encoder.1").eval()  # somebody froze these statistics
    learner.copies["target"].get_submodule("head.0").eval()
    before = [module.training for network in (learner.model, learner.copies["target"]) for module in network.modules()]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    train(learner, 2)
    assert modes == [{False}, {False}]
    after = [module.training for network in (learner.model, learner.copies["target"]) for module in network.modules()]
    assert after == before
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in learner.model.modules())


def test_modes_come_back_after_an_error_of_a_plugin() -> None:
    def look(subject: Subject) -> dict[str, Tensor]:
        raise KeyError("boom")

    learner = learner_with(Looking(look))
    with pytest.raises(KeyError):
        train(learner, 1)
    assert all(module.training for module in learner.model.modules())


def test_an_intervention_may_differentiate() -> None:
    def script(subject: Subject) -> Iterator[Edit]:
        parameter = subject.model.get_parameter("head.2.bias")
        (gradient,) = torch.autograd.grad(subject.loss(subject.model).mean(), [parameter])
        yield Overwrite("head.2.bias", lambda tensor: tensor - gradient)

    learner = learner_with(Scripted(script))
    train(learner, 1)
    assert faults(learner) == []


def test_after_the_last_update_nothing_is_edited_but_probes_measure() -> None:
    edited: list[int] = []

    def script(subject: Subject) -> list[Edit]:
        edited.append(subject.clock.now.updates)
        return []

    learner = learner_with(
        Scripted(script), Looking(lambda subject: {"now": torch.tensor(subject.clock.now.updates)}), total=4
    )
    measured = train(learner, 6)
    assert edited == [1, 2, 3]
    assert [int(seen["looking/now"]) for seen in measured] == [1, 2, 3, 4, 5, 6]


# ------------------------------------------------------------------ noise


def test_the_model_and_the_copies_that_follow_have_noise_of_their_own() -> None:
    shadow = Shadow()
    learner = learner_with(shadow, make=noisy_net)
    train(learner, 1)
    samples = [network.get_buffer("head.0.noise.inputs") for network in (learner.model, learner.copies["target"])]
    assert samples[0].any()
    assert not torch.equal(*samples)
    assert not learner.copies["shadow"].get_buffer("head.0.noise.inputs").any()  # nobody acts or trains with it
    before = exact(samples)
    learner.draw_noise()
    assert exact(samples) != before


def test_new_layers_get_noise_at_the_next_update() -> None:
    @define(eq=False)
    class NoisyWiden(Widen):
        name = "noisy_widen"

        def wrap(self, module: nn.Module) -> nn.Module:
            return nn.Sequential(module, NoisyLinear(2, 2))

    learner = learner_with(NoisyWiden(when=At(1)))
    train(learner, 2)
    for network in (learner.model, learner.copies["target"]):
        assert network.get_buffer("head.1.noise.inputs").any()


# ------------------------------------------------------------------ checkpoints


@define(eq=False)
class Remembering(PlasticityIntervention):
    """State of every kind that a checkpoint holds."""

    name = "remembering"
    when: Schedule = Always()
    count: int = field(default=0, init=False)
    label: str = field(default="", init=False)
    norms: list[float] = field(factory=list, init=False)
    late: Tensor | None = field(default=None, init=False)
    early: Tensor | None = field(default=None, init=False)
    live: Any = field(default=None, init=False, metadata={"state": False})

    def start(self, model: nn.Module, lag: Any) -> None:
        self.early = torch.zeros(2)
        self.live = model

    def edits(self, subject: Subject) -> list[Edit]:
        self.count += 1
        self.label = f"{self.count} times"
        self.norms.append(float(subject.model.get_parameter("encoder.0.bias").detach().norm()))
        self.late = torch.zeros(3) if self.late is None else self.late.add_(1)
        assert self.early is not None
        self.early += self.count
        return [Overwrite("encoder.0.bias", lambda tensor: tensor + 0.01 * self.count)]


def kinds_of_runs() -> dict[str, Callable[[], Learner]]:
    def rebuilt(**options: Any) -> Callable[[], Learner]:
        return lambda: learner_with(
            Remembering(when=Every(2)),
            Widen(when=Every(3)),
            Shadow(),
            Looking(measurements, when=Every(2)),
            **options,
        )

    return {
        "adam": rebuilt(),
        "fused": rebuilt(optimizer=partial(torch.optim.Adam, lr=1e-2, fused=True)),
        "momentum": rebuilt(optimizer=partial(torch.optim.SGD, lr=1e-2, momentum=0.9)),
        "noisy": rebuilt(make=noisy_net),
        "statistics": rebuilt(make=norm_net, max_grad_norm=0.5),
        "freezing": lambda: learner_with(Widen(when=At(3), freeze=True), Remembering(when=Every(2)), make=noisy_net),
    }


@pytest.mark.parametrize("kind", list(kinds_of_runs()))
@pytest.mark.parametrize("at", [1, 3, 4, 7])
def test_from_a_checkpoint_it_goes_on_bit_for_bit(kind: str, at: int) -> None:
    make = kinds_of_runs()[kind]
    torch.manual_seed(1)
    straight = make()
    train(straight, at)
    saved = deepcopy(straight.state_dict())
    train(straight, 8 - at)
    torch.manual_seed(2)
    resumed = make()
    resumed.load_state_dict(saved)
    resumed.clock.advance(updates=at, agent_steps=at)
    resumed.clock.tick()
    assert exact(resumed.state_dict()) == exact(saved)
    assert faults(resumed) == []
    train(resumed, 8 - at)
    assert exact(resumed.state_dict()) == exact(straight.state_dict())
    assert exact(resumed.averages()) == exact(straight.averages())
    assert faults(resumed) == []


def test_a_loaded_state_is_no_longer_tied_to_what_was_loaded() -> None:
    straight = learner_with(Remembering())
    train(straight, 3)
    state = straight.state_dict()
    other = learner_with(Remembering())
    other.load_state_dict(state)
    before = exact(state)
    train(other, 2)
    assert exact(state) == before
    assert exact(straight.state_dict()) == before


def test_a_state_that_is_wired_up_is_not_saved() -> None:
    remembering = Remembering()
    learner = learner_with(remembering)
    train(learner, 2)
    (saved,) = learner.state_dict()["plugins"]
    assert saved.keys() == {"count", "label", "norms", "late", "early"}
    other = Remembering()
    resumed = learner_with(other)
    early = other.early
    resumed.load_state_dict(learner.state_dict())
    assert other.early is early  # in place, for whoever holds it
    assert other.live is resumed.model
    assert (other.count, other.label, other.norms) == (2, "2 times", remembering.norms)
    assert other.norms is not remembering.norms


def test_a_tensor_that_was_not_there_yet_goes_to_the_learners_device() -> None:
    remembering = Remembering()
    load_plugin_state(remembering, {"late": torch.ones(3), "count": 2}, torch.device("meta"))
    assert remembering.late is not None
    assert remembering.late.device.type == "meta"
    assert remembering.count == 2


def test_a_module_that_was_put_in_evaluation_mode_is_so_after_a_replace_and_a_checkpoint() -> None:
    @frozen(eq=False)
    class Freeze(PlasticityIntervention):
        name = "freeze"

        def build(self, model: nn.Module) -> nn.Module:
            model.get_submodule("encoder.1").eval()
            return model

    def make() -> Learner:
        return learner_with(Freeze(), Widen(when=At(2)), make=norm_net)

    straight = make()
    train(straight, 3)
    resumed = make()
    resumed.load_state_dict(straight.state_dict())
    for learner in (straight, resumed):
        for network in (learner.model, learner.copies["target"]):
            modes = {path: module.training for path, module in network.named_modules()}
            assert modes.pop("encoder.1") is False
            assert all(modes.values())


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (learner_with, ValueError),
        (lambda: learner_with(Shadow()), ValueError),
        (lambda: learner_with(Remembering(), Remembering()), ValueError),
        (lambda: learner_with(Remembering(), make=noisy_net), RuntimeError),
        (lambda: learner_with(Remembering(), target=False), KeyError),
    ],
)
def test_a_state_of_another_learner_is_refused(other: Callable[[], Learner], error: type[Exception]) -> None:
    learner = learner_with(Remembering())
    train(learner, 1)
    with pytest.raises(error):
        other().load_state_dict(learner.state_dict())


# ------------------------------------------------------------------ seeds


def test_the_seed_decides_the_network_and_every_draw() -> None:
    def final(seed: int) -> Any:
        torch.manual_seed(seed)  # which counts for nothing
        learner = learner_with(Remembering(), make=noisy_net, seed=seed % 10)
        start = exact(learner.model.state_dict())
        train(learner, 3)
        return start, exact(learner.state_dict())

    assert final(1) == final(11)
    assert final(1)[0] != final(2)[0]
    assert final(1)[1] != final(2)[1]


def test_building_a_learner_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(4)
    state = torch.get_rng_state()
    learner_with(Widen(), make=noisy_net, optimizer=ADAM)
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------------ anything in any order


@define(eq=False)
class Surgeon(Widen):
    """Replaces modules at any path, by a sequence with a new layer of the same width."""

    name = "surgeon"

    def wrap(self, module: nn.Module) -> nn.Module:
        return nn.Sequential(module, nn.Linear(2, 2))

    def wrap_frozen(self, module: nn.Module) -> nn.Module:
        return nn.Sequential(module.requires_grad_(False), nn.Linear(2, 2))


ACTIONS = ["update", "whole", "part", "function", "forget", "replace", "freeze", "checkpoint"]


@hypothesis.settings(max_examples=25, deadline=None)
@given(
    actions=st.lists(st.sampled_from(ACTIONS), max_size=14),
    kept=st.sampled_from([None, "clear", "keep"]),
    seed=st.integers(0, 99),
)
def test_whatever_is_done_in_whatever_order_nothing_is_left_stale(actions: list[str], kept: Any, seed: int) -> None:
    def make() -> tuple[Learner, Surgeon]:
        surgeon = Surgeon(when=Never())
        return learner_with(surgeon, Shadow(), make=noisy_net, max_grad_norm=1.0), surgeon

    learner, surgeon = make()
    draws = torch.Generator().manual_seed(seed)
    moments: Any = kept or "clear"
    for action in actions:
        names = list(dict(learner.model.named_parameters()))
        name = names[int(torch.randint(len(names), (), generator=draws))]
        shape = learner.model.get_parameter(name).shape
        edit: Edit | None = None
        match action:
            case "update":
                train(learner, 1)
            case "whole":
                edit = Overwrite(name, torch.randn(shape, generator=draws), moments=moments, step=kept)
            case "part":
                where = torch.rand(shape, generator=draws) < 0.5
                edit = Overwrite(name, torch.randn(shape, generator=draws), where=where, moments=moments, step=kept)
            case "function":
                edit = Overwrite(name, lambda tensor: tensor / 2, copies="none" if kept else "all")
            case "forget":
                edit = Forget(names)
            case "replace":
                edit = Replace("head", surgeon.wrap)
            case "freeze":
                edit = Replace("head", surgeon.wrap_frozen)
            case "checkpoint":
                state = deepcopy(learner.state_dict())
                clock = learner.clock
                learner, surgeon = make()
                learner.clock.now, learner.clock.before = clock.now, clock.before
                learner.load_state_dict(state)
                assert exact(learner.state_dict()) == exact(state)
        if edit is not None:
            learner.write([edit], by=surgeon)
        assert faults(learner) == []
    state = deepcopy(learner.state_dict())
    other, _ = make()
    other.load_state_dict(state)
    other.clock.now, other.clock.before = learner.clock.now, learner.clock.before
    for one in (learner, other):
        train(one, 2)
        assert faults(one) == []
    assert exact(other.state_dict()) == exact(learner.state_dict())


def test_a_function_of_a_value_reads_other_parameters_of_the_same_network() -> None:
    def scaled(subject: Subject) -> list[Edit]:
        def by_the_bias(own: Tensor, bias: Tensor) -> Tensor:
            value: Tensor = own * bias.norm()
            return value

        return [Overwrite("head.2.weight", by_the_bias, given=("head.2.bias",))]

    learner = learner_with(Scripted(scaled))
    with torch.no_grad():
        learner.copies["target"].get_parameter("head.2.bias").fill_(5.0)
    networks = (learner.model, learner.copies["target"])
    before = [net.get_parameter("head.2.weight").detach().clone() for net in networks]
    learner.clock.advance(updates=1)
    learner.edit()
    for net, weight in zip(networks, before, strict=True):
        norm = net.get_parameter("head.2.bias").norm()
        torch.testing.assert_close(net.get_parameter("head.2.weight"), weight * norm)


def test_a_parameter_that_a_copy_has_not_cannot_be_given_for_it() -> None:
    def beyond(subject: Subject) -> list[Edit]:
        return [Overwrite("encoder.0.bias", lambda own, other: own, given=("head.2.bias",))]

    learner = learner_with(Scripted(beyond))
    learner.follow("part", rate=1, path="encoder")
    learner.clock.advance(updates=1)
    with pytest.raises(UsageError, match=r"edits give the parameter 'head\.2\.bias', which the copy 'part' has not"):
        learner.edit()


@pytest.mark.parametrize("asked", [None, 3, Overwrite("head.2.bias", torch.zeros(2))], ids=["None", "3", "an edit"])
def test_what_is_no_list_of_edits_is_refused_with_plugin_and_package(asked: Any) -> None:
    @frozen(eq=False)
    class Alone(Scripted):
        name = "alone"

        def edits(self, subject: Subject) -> Any:
            return asked

    learner = learner_with(Alone(lambda subject: ()))
    with pytest.raises(UsageError) as caught:
        train(learner, 1)
    assert str(caught.value).startswith(
        f"alone (from tests): edits gave {asked!r}; give a list of edits, or yield them"
    )


def test_what_is_no_dictionary_of_measurements_is_refused_with_plugin_and_package() -> None:
    @frozen(eq=False)
    class Bare(Probe):
        name = "bare"
        when: Schedule = Always()

        def measure(self, subject: Subject) -> Any:
            return torch.zeros(())

    with pytest.raises(UsageError, match=r"^bare \(from tests\): measure gave tensor"):
        train(learner_with(Bare()), 1)
