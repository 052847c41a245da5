"""One update's evaluations: what is drawn, what is kept, what is clipped, and how modifiers nest."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import torch
from attrs import define, field, frozen
from torch import Tensor, nn

from plastic.core.layers import Dropout, silenced
from plastic.core.learning.learner import Learner
from plastic.core.learning.mask_streams import MaskStreams
from plastic.core.modifier import Draw, Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.objective import Objective
from plastic.core.schedule import Always, Every, Schedule
from tests.core.stubs import SGD, Fit, Net, batch_of, exact, learner_with, noisy_net, norm_net

DRAWS: list[Draw] = ["noise", "augmentation", "target"]


@define(eq=False)
class Calls(OptimizerModifier):
    """Evaluates as `ask` says, at the weights or `moved` away from them, and steps with the last gradients."""

    name = "calls"
    ask: list[dict[str, Any]] = field(factory=list)
    when: Schedule = Always()
    losses: list[Tensor] = field(factory=list, init=False)
    steps: list[Mapping[str, Tensor]] = field(factory=list, init=False)
    returned: int = 0

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        for arguments in self.ask:
            options = dict(arguments)
            by = options.pop("by", None)
            if by is not None:
                options["params"] = {name: value.detach() + by for name, value in params.items()}
            losses, gradients = evaluate(**options)
            self.losses.append(losses)
            self.steps.append(gradients)
        return self.losses[self.returned], gradients


# ------------------------------------------------------------------ drawn and kept


@pytest.mark.parametrize("redraw", [frozenset(), *(frozenset({word}) for word in DRAWS), frozenset(DRAWS)])
@pytest.mark.parametrize("by", [None, 0.25])
def test_later_evaluations_draw_anew_what_they_ask_for_and_keep_the_rest(
    redraw: frozenset[Draw], by: float | None
) -> None:
    objective = Fit()
    calls = Calls([{}, {"redraw": redraw, "by": by}, {"by": by}])
    learner = learner_with(calls, make=noisy_net, objective=objective)
    noise: list[Any] = []

    def remembered() -> None:
        Learner.draw_noise(learner)
        noise.append(None)

    learner.draw_noise = remembered  # type: ignore[method-assign]
    learner.update(batch_of(1))
    assert len(noise) == 1 + ("noise" in redraw)
    assert objective.calls["augment"] == 1 + ("augmentation" in redraw)
    assert objective.calls["target"] == 1 + ("target" in redraw)
    first, second, third = range(3)
    for record, word in ((objective.augmented, "augmentation"), (objective.targets, "target")):
        assert (record[first] is record[second]) == (word not in redraw)
        assert record[second] is record[third]
    # what was kept gives the same outputs, what was redrawn others
    same = by is None and not redraw & {"noise", "augmentation"}
    assert torch.equal(objective.outputs[first], objective.outputs[second]) == same
    assert torch.equal(objective.outputs[second], objective.outputs[third])


def test_each_update_draws_anew() -> None:
    objective = Fit()
    learner = learner_with(make=noisy_net, objective=objective)
    for _ in range(2):
        learner.update(batch_of(1))
    assert objective.calls == {"augment": 2, "target": 2, "losses": 2}
    assert not torch.equal(objective.augmented[0], objective.augmented[1])


def test_without_noise_the_model_is_at_its_means_and_the_copies_are_not() -> None:
    objective = Fit()
    learner = learner_with(Calls([{"noise": False}, {}]), make=noisy_net, objective=objective, optimizer=SGD)
    silent = learner.model.state_dict()
    before = {name: value.clone() for name, value in silent.items()}
    learner.update(batch_of(1))
    model = noisy_net()
    model.load_state_dict({name: before[name] if "noise" not in name else silent[name] for name in before})
    assert torch.equal(model.eval()(objective.augmented[0]), objective.outputs[0])
    assert torch.equal(model.train()(objective.augmented[1]), objective.outputs[1])
    assert not torch.equal(objective.outputs[0], objective.outputs[1])
    target = learner.copies["target"]
    target.load_state_dict(
        {name: before[name] if "noise" not in name else value for name, value in target.state_dict().items()}
    )
    torch.testing.assert_close(target.train()(objective.augmented[0]) + 1, objective.targets[0])
    assert not torch.allclose(target.eval()(objective.augmented[0]) + 1, objective.targets[0])


def test_the_target_is_computed_without_gradients_at_the_weights_evaluated() -> None:
    seen: list[tuple[bool, float]] = []

    class Double(Fit):
        def target(self, model: nn.Module, copies: Mapping[str, nn.Module], batch: Tensor) -> Tensor:
            seen.append((torch.is_grad_enabled(), model.get_parameter("head.2.bias")[0].item()))
            return super().target(model, copies, batch)

    calls = Calls([{}, {"by": 0.5, "redraw": frozenset({"target"})}, {"by": 1.0}])
    learner = learner_with(calls, objective=Double())
    bias = learner.params["head.2.bias"][0].item()
    learner.update(batch_of(1))
    assert [grad for grad, _ in seen] == [False, False]
    assert [value for _, value in seen] == pytest.approx([bias, bias + 0.5])


def test_batch_statistics_advance_in_the_first_call_only() -> None:
    asked: list[list[dict[str, Any]]] = [[{}], [{}, {}, {"by": 0.5}], [{"by": 0.5}, {}, {"redraw": frozenset(DRAWS)}]]
    for ask in asked:
        learner = learner_with(Calls(ask), make=norm_net, optimizer=partial(torch.optim.SGD, lr=0.0))
        before = exact(learner.model.get_submodule("encoder.1").state_dict())
        learner.update(batch_of(1))
        statistics = learner.model.get_submodule("encoder.1").state_dict()
        assert statistics["num_batches_tracked"] == 1
        assert exact(statistics) != before
        augmented = learner.objective.augmented[0]  # type: ignore[attr-defined]
        with torch.no_grad():
            weight, bias = (learner.model.get_parameter(f"encoder.0.{name}") for name in ("weight", "bias"))
            moved = 0.5 if "by" in ask[0] else 0.0
            mean = (augmented @ (weight + moved).T + bias + moved).mean(0)
        torch.testing.assert_close(statistics["running_mean"], 0.1 * mean)


def test_batch_statistics_are_those_of_the_batch_in_later_calls_too() -> None:
    objective = Fit()
    learner = learner_with(Calls([{}, {}, {"by": 0.0}]), make=norm_net, objective=objective)
    learner.update(batch_of(1))
    assert torch.equal(objective.outputs[0], objective.outputs[1])
    assert torch.equal(objective.outputs[0], objective.outputs[2])


def test_evaluating_writes_neither_the_weights_nor_what_it_was_given() -> None:
    given: list[Parameters] = []
    kept: list[Any] = []

    @frozen(eq=False)
    class Moving(OptimizerModifier):
        name = "moving"

        def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
            moved = {name: value.detach() + 1 for name, value in params.items()}
            tracked = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
            for at in (moved, tracked):
                given.append(at)
                kept.append(exact(at))
                evaluate(at)
            return evaluate()

    learner = learner_with(Moving(), optimizer=partial(torch.optim.SGD, lr=0.0), max_grad_norm=1e-3)
    before = exact(learner.model.state_dict())
    learner.update(batch_of(1))
    assert exact(learner.model.state_dict()) == before
    assert exact(given) == kept
    assert all(value.grad is None for at in given for value in at.values())


def test_gradients_at_moved_weights_are_those_of_a_model_that_has_them() -> None:
    calls = Calls([{}, {"by": 0.3}])
    objective = Fit()
    learner = learner_with(calls, objective=objective)
    other = Net()
    other.load_state_dict({name: value + 0.3 for name, value in learner.model.state_dict().items()})
    losses = learner.update(batch_of(1))
    loss = (other(objective.augmented[0]) - objective.targets[0]).square().sum(1)
    torch.testing.assert_close(calls.losses[1], loss)
    for (name, parameter), gradient in zip(
        other.named_parameters(), torch.autograd.grad(loss.mean(), list(other.parameters())), strict=True
    ):
        assert parameter.shape == gradient.shape
        torch.testing.assert_close(calls.steps[1][name], gradient)
    assert losses is calls.losses[0]


def test_a_parameter_that_the_loss_does_not_reach_has_a_gradient_of_zeros() -> None:
    class Blind(Fit):
        def losses(self, model: nn.Module, batch: Tensor, target: Tensor) -> Tensor:
            hidden: Tensor = model.get_submodule("encoder")(batch)
            return hidden.square().sum(1)

    calls = Calls([{}])
    learner = learner_with(calls, objective=Blind())
    head = exact(learner.model.get_submodule("head").state_dict())
    learner.update(batch_of(1))
    assert not calls.steps[0]["head.0.weight"].any()
    assert calls.steps[0]["encoder.0.weight"].any()
    assert exact(learner.model.get_submodule("head").state_dict()) == head


# ------------------------------------------------------------------ clipping


def norm_of(gradients: Gradients) -> float:
    return float(torch.cat([gradient.flatten() for gradient in gradients.values()]).norm())


def test_every_evaluation_is_clipped_to_the_global_norm_and_its_own_norm_is_kept() -> None:
    calls = Calls([{}, {"by": 0.3}])
    free = Calls([{}, {"by": 0.3}])
    learner = learner_with(calls, max_grad_norm=0.5)
    learner_with(free).update(batch_of(1))
    learner.update(batch_of(1))
    for clipped, full in zip(calls.steps, free.steps, strict=True):
        assert norm_of(full) > 0.5
        assert norm_of(clipped) == pytest.approx(0.5, rel=1e-4)
        for name, gradient in clipped.items():
            torch.testing.assert_close(gradient, full[name] * 0.5 / norm_of(full), rtol=1e-4, atol=1e-6)
    averages = learner.averages()
    assert averages["gradient_norm"] == pytest.approx(norm_of(free.steps[0]), rel=1e-5)
    assert averages["gradient_norm_last"] == pytest.approx(norm_of(free.steps[1]), rel=1e-5)


class Noting(Fit):
    """Notes the mean output of its last losses."""

    def notes(self) -> Mapping[str, Tensor]:
        return {"output": self.outputs[-1].mean()}


def test_what_is_noted_is_of_the_first_evaluation_as_the_loss_beside_it() -> None:
    objective = Noting()
    learner = learner_with(Calls([{}, {"by": 3.0}]), objective=objective)
    losses = learner.update(batch_of(1))
    first, second = (float(outputs.mean()) for outputs in objective.outputs)
    assert abs(first - second) > 0.1
    averages = learner.averages()
    assert averages["output"] == pytest.approx(first)
    assert averages["loss"] == pytest.approx(float(losses.mean()))


def test_short_gradients_are_left_as_they_are() -> None:
    calls, free = Calls([{}]), Calls([{}])
    learner_with(calls, max_grad_norm=1e6).update(batch_of(1))
    learner_with(free).update(batch_of(1))
    assert exact(calls.steps[0]) == exact(free.steps[0])


def test_a_gradient_of_zero_is_no_nan_when_clipped() -> None:
    class Still(Fit):
        def losses(self, model: nn.Module, batch: Tensor, target: Tensor) -> Tensor:
            return super().losses(model, batch, target) * 0

    learner = learner_with(objective=Still(), max_grad_norm=10.0)
    learner.update(batch_of(1))
    assert learner.bad_update() is None


class Sharing(nn.Module):
    """Parameters of one shape, whose gradients autograd gives in shared memory."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.zeros(4))
        self.two = nn.Parameter(torch.zeros(4))
        self.part = nn.Parameter(torch.zeros(2))
        self.number = nn.Parameter(torch.zeros(4))

    def forward(self, batch: Tensor) -> Tensor:
        return self.one + self.two


class Made(Objective):
    """Whatever `loss` makes of the model."""

    def __init__(self, loss: Callable[[Sharing], Tensor]) -> None:
        self.loss = loss

    def losses(self, model: nn.Module, batch: Any, target: Any) -> Tensor:
        assert isinstance(model, Sharing)
        return self.loss(model)

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        return (batch,)

    def sample(self, generator: torch.Generator) -> Any:
        raise AssertionError


@pytest.mark.parametrize(
    ("loss", "squares"),
    [
        # gradients of mean(w * v): one, two, part, number, each of the norm of its factor
        (lambda m: (m.one + m.two) * torch.tensor([3.0, 4.0, 0.0, 0.0]), 2 * 25 / 16),
        # the gradient of `part` is the end of that of `one`
        (
            lambda m: (m.one + torch.cat((torch.zeros(2), m.part))) * torch.tensor([0.0, 0.0, 3.0, 4.0]),
            2 * 25 / 16,
        ),
        (lambda m: m.number.sum().expand(1), 4.0),  # one number for all four entries
        (lambda m: m.number, 4 / 16),
    ],
    ids=["sum", "part", "number", "mean"],
)
def test_gradients_that_share_memory_are_clipped_once(loss: Callable[[Sharing], Tensor], squares: float) -> None:
    for limit, factor in ((1e6, 1.0), (0.1, 0.1 / squares**0.5)):
        calls, free = Calls([{}]), Calls([{}])
        learner_with(calls, make=Sharing, objective=Made(loss), target=False, max_grad_norm=limit).update(batch_of(1))
        learner_with(free, make=Sharing, objective=Made(loss), target=False).update(batch_of(1))
        assert norm_of(free.steps[0]) == pytest.approx(squares**0.5)
        for name, gradient in calls.steps[0].items():
            torch.testing.assert_close(gradient, free.steps[0][name] * factor, rtol=1e-4, atol=1e-6)


def test_gradients_may_be_changed_in_place() -> None:
    @frozen(eq=False)
    class Growing(OptimizerModifier):
        name = "growing"

        def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
            losses, gradients = evaluate()
            for gradient in gradients.values():
                gradient.add_(1)
            return losses, gradients

    def loss(model: Sharing) -> Tensor:
        return (model.one + model.two + torch.cat((torch.zeros(2), model.part))) * 0 + model.number.sum()

    learner = learner_with(Growing(), make=Sharing, objective=Made(loss), optimizer=SGD, target=False)
    learner.update(batch_of(1))
    for name, parameter in learner.params.items():
        expected = -0.1 * (2 if name == "number" else 1)
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, expected))


# ------------------------------------------------------------------ nesting


@define(eq=False)
class Step(OptimizerModifier):
    """Multiplies by a factor and adds an amount: the order of two such shows in the result."""

    name = "step"
    factor: float
    amount: float
    when: Schedule = Always()

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        return losses, {name: self.factor * value + self.amount for name, value in gradients.items()}


class Outer(Step):
    name = "outer"
    stage = "decay"


def stepped(*plugins: OptimizerModifier, **options: Any) -> tuple[float, float]:
    """The gradient that moved one weight, with and without the modifiers."""
    moved = []
    for some in (plugins, ()):
        learner = learner_with(*some, optimizer=SGD, **options)
        before = learner.params["head.2.bias"][0].item()
        learner.clock.advance(updates=1)
        learner.update(batch_of(1))
        moved.append((before - learner.params["head.2.bias"][0].item()) / 0.1)
    return moved[0], moved[1]


def test_modifiers_nest_in_the_users_order_the_last_outermost() -> None:
    moved, plain = stepped(Step(2, 0), Step(1, 5))
    assert moved == pytest.approx(2 * plain + 5, rel=1e-4)
    moved, plain = stepped(Step(1, 5), Step(2, 0))
    assert moved == pytest.approx(2 * (plain + 5), rel=1e-4)


def test_the_stage_decides_before_the_users_order() -> None:
    moved, plain = stepped(Outer(1, 5), Step(2, 0))
    assert moved == pytest.approx(2 * plain + 5, rel=1e-4)
    moved, plain = stepped(Outer(3, 0), Step(2, 1), Outer(1, 5), Step(1, 7))
    assert moved == pytest.approx(3 * (2 * plain + 1 + 7) + 5, rel=1e-4)


def test_clipping_is_innermost() -> None:
    moved, clipped = stepped(Step(100, 0), max_grad_norm=0.01)
    assert moved == pytest.approx(100 * clipped, rel=1e-3)
    assert abs(clipped) <= 0.01


def test_only_modifiers_that_are_due_take_part() -> None:
    moved, plain = stepped(Step(2, 0, when=Every(2)), Step(1, 5))
    assert moved == pytest.approx(plain + 5, rel=1e-4)


def test_an_outer_modifier_that_evaluates_elsewhere_moves_the_inner_ones_with_it() -> None:
    inner, outer = Calls([{}, {"by": 0.2}]), Calls([{}, {"by": 0.5}])
    objective = Fit()
    learner = learner_with(inner, outer, objective=objective)
    start = {name: value.detach().clone() for name, value in learner.params.items()}
    learner.update(batch_of(1))
    assert len(objective.outputs) == 4
    for output, by in zip(objective.outputs, (0.0, 0.2, 0.5, 0.7), strict=True):
        model = Net()
        model.load_state_dict({name: value + by for name, value in start.items()})
        torch.testing.assert_close(output, model(objective.augmented[0]))


@pytest.mark.parametrize("ask", [{}, {"params": None}])
def test_no_weights_given_are_those_of_the_modifier_around(ask: dict[str, Any]) -> None:
    inner, outer = Calls([ask]), Calls([{"by": 0.5}])
    objective = Fit()
    learner = learner_with(inner, outer, objective=objective)
    model = Net()
    model.load_state_dict({name: value + 0.5 for name, value in learner.model.state_dict().items()})
    learner.update(batch_of(1))
    torch.testing.assert_close(objective.outputs[0], model(objective.augmented[0]))


def test_what_an_outer_modifier_has_redrawn_the_inner_ones_first_call_redraws() -> None:
    everything = frozenset(DRAWS)
    inner, outer = Calls([{}, {}]), Calls([{}, {"redraw": everything}])
    objective = Fit()
    learner_with(inner, outer, objective=objective, make=noisy_net).update(batch_of(1))
    assert objective.calls["augment"] == objective.calls["target"] == 2
    assert [one is objective.augmented[0] for one in objective.augmented] == [True, True, False, False]
    assert objective.augmented[2] is objective.augmented[3]


def test_an_outer_modifier_without_noise_silences_the_inner_ones_calls() -> None:
    inner, outer = Calls([{}, {"noise": True}]), Calls([{"noise": False}, {}])
    objective = Fit()
    learner = learner_with(inner, outer, objective=objective, make=noisy_net, optimizer=partial(torch.optim.SGD, lr=0))
    learner.update(batch_of(1))
    means = learner.model.eval()(objective.augmented[0])
    assert [torch.equal(output, means) for output in objective.outputs] == [True, True, False, False]


@pytest.mark.parametrize("returned", [0, 1])
def test_the_losses_for_priorities_are_the_modifiers_choice(returned: int) -> None:
    calls = Calls([{}, {"by": 0.5}], returned=returned)
    losses = learner_with(calls, Outer(1, 0)).update(batch_of(1))
    assert losses is calls.losses[returned]
    assert losses.shape == (8,)
    assert not losses.requires_grad


# ------------------------------------------------------------------ masks


class Masked(nn.Module):
    """A mask between two layers."""

    def __init__(self, mask: nn.Module) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 20), mask)
        self.head = nn.Linear(20, 2)

    def forward(self, x: Tensor) -> Tensor:
        values: Tensor = self.head(self.encoder(x))
        return values


MASKS = (nn.Dropout, Dropout)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("redraw", [frozenset(), frozenset({"noise"}), frozenset({"target"})])
def test_a_mask_is_kept_until_noise_is_redrawn(kind: type[nn.Module], redraw: frozenset[Draw]) -> None:
    objective = Fit()
    calls = Calls([{}, {"redraw": redraw}, {}, {"noise": False}])
    learner = learner_with(calls, make=lambda: Masked(kind(0.5)), objective=objective)
    learner.update(batch_of(1))
    first, second, third, silent = objective.outputs
    assert torch.equal(first, second) == ("noise" not in redraw)
    assert torch.equal(second, third)
    assert not torch.equal(third, silent)


@pytest.mark.parametrize("kind", MASKS)
def test_masks_are_the_seeds_and_the_updates_alone(kind: type[nn.Module]) -> None:
    def outputs(seed: int, torchs: int, name: str = "small") -> list[Tensor]:
        objective = Fit()
        learner = learner_with(make=lambda: Masked(kind(0.5)), objective=objective, seed=0)
        learner._masks = MaskStreams(seed, name)
        torch.manual_seed(torchs)
        for _ in range(2):
            learner.update(batch_of(1))
        after = torch.rand(1)
        torch.manual_seed(torchs)
        assert torch.equal(after, torch.rand(1))  # the global generator is as it was
        return objective.outputs

    one, same = outputs(0, 1), outputs(0, 2)
    assert all(map(torch.equal, one, same))
    assert not torch.equal(one[0], outputs(1, 1)[0])
    assert not torch.equal(one[0], outputs(0, 1, "actor")[0])


def test_without_noise_nothing_is_dropped_and_afterwards_all_is_as_it_was() -> None:
    model = Masked(nn.Dropout(0.5))
    x = torch.ones(3, 4)
    with silenced(model):
        assert torch.equal(model(x), model.eval()(x))
    model.train()
    model.encoder[1].eval()
    with silenced(model):
        pass
    assert not model.encoder[1].training
