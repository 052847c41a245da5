"""L2 Init: what is added to the loss and its gradient, towards which weights, and where those go with every edit."""

import io
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.learning.learner import Learner
from plastic.core.schedule import At
from plastic.plugins.interventions.l2_init import L2Init, _Apart
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.sam import SAM
from plastic.testing.invariants import faults
from tests.core.layers.critics import Critic, pair
from tests.plugins.learners import batch, changed, learner_of, linear, parameters, rainbow, state, train

FREE = partial(rainbow, max_grad_norm=None, augmentation=False)


def flat(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss that moves nothing."""
    return 0 * outputs.sum(1)


def moved(learner: Learner, by: float = 0.5) -> dict[str, Tensor]:
    """Move every parameter by a constant; where they were."""
    before = parameters(learner.model)
    with torch.no_grad():
        for parameter in learner.params.values():
            parameter.add_(by)
    return before


def origin(learner: Learner) -> dict[str, Tensor]:
    return parameters(learner.copies["l2_init"])


def make() -> nn.Module:
    return nn.Sequential(linear([[1.0, 2.0]], [3.0]))


@pytest.mark.parametrize("half", [False, True])
def test_it_pulls_towards_the_first_weights_and_not_to_zero(half: bool) -> None:
    learner = learner_of(make, torch.ones(4, 2), None, L2Init(strength=0.5, half=half), loss=flat)  # SGD at 0.1
    train(learner, 1)
    assert torch.equal(learner.params["0.weight"], torch.tensor([[1.0, 2.0]]))  # nothing pulls at the start
    moved(learner, 1.0)
    train(learner, 1)
    # 2 x 0.5 x 1 is the gradient, or half of it
    expected = 0.1 * (0.5 if half else 1.0)
    torch.testing.assert_close(learner.params["0.weight"], torch.tensor([[2.0, 3.0]]) - expected)
    torch.testing.assert_close(learner.params["0.bias"], torch.tensor([4.0]) - expected)
    train(learner, 200)
    torch.testing.assert_close(learner.params["0.weight"], torch.tensor([[1.0, 2.0]]), atol=1e-3, rtol=0)


def test_the_gradient_is_the_losses_and_twice_strength_times_the_distance() -> None:
    sgd = partial(torch.optim.SGD, lr=1.0)
    ours, plain = FREE(L2Init(strength=0.25), optimizer=sgd), FREE(optimizer=sgd)
    for learner in (ours, plain):
        moved(learner, 0.01)
        learner.update(batch())
    stepped = parameters(plain.model)
    for name, weights in parameters(ours.model).items():
        torch.testing.assert_close(weights, stepped[name] - 2 * 0.25 * 0.01, rtol=1e-5, atol=2e-7)


def test_the_written_gradient_is_autograds() -> None:
    torch.manual_seed(0)
    shapes = ((3, 4), (5,), (), (2, 3, 2, 2))
    weights = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    origin = [torch.randn(shape, dtype=torch.double) for shape in shapes]
    ours = _Apart.apply(*weights, *origin)  # type: ignore[no-untyped-call]
    theirs = sum(((one - other).square().sum() for one, other in zip(weights, origin, strict=True)), torch.zeros(()))
    torch.testing.assert_close(ours, theirs)
    wanted = torch.autograd.grad(3 * theirs, weights)
    for one, other in zip(torch.autograd.grad(3 * ours, weights), wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_it_is_clipped_and_part_of_both_passes_of_sam() -> None:
    learner = rainbow(L2Init(strength=100.0), max_grad_norm=1e-3, optimizer=partial(torch.optim.SGD, lr=1.0))
    moved(learner)
    before = parameters(learner.model)
    learner.update(batch())
    step = torch.cat([(before[name] - p.detach()).flatten() for name, p in learner.params.items()])
    assert step.norm() == pytest.approx(1e-3, rel=1e-3)
    # where the loss is flat, SAM's gradient at w + rho e is 2 strength (w + rho e - w0)
    learner = learner_of(make, torch.ones(4, 2), None, L2Init(strength=0.5), SAM(rho=3.0), loss=flat)
    moved(learner, 1.0)
    train(learner, 1)
    ascent = 1.0 + 3.0 / 3**0.5
    torch.testing.assert_close(learner.params["0.weight"], torch.tensor([[2.0, 3.0]]) - 0.1 * ascent)


def pulled(plugin: L2Init, learner: Learner) -> set[str]:
    """The parameters that the penalty has a gradient for, once all have moved."""
    moved(learner)
    penalty = plugin.penalty(learner.model, ())
    found = torch.autograd.grad(penalty, list(learner.params.values()), materialize_grads=True)
    return {name for name, gradient in zip(learner.params, found, strict=True) if gradient.any()}


def test_norms_are_left_out_and_deviations_are_not() -> None:
    plugin = L2Init()
    learner = rainbow(plugin, LayerNorm())
    norms = {name for name in learner.params if ".1.0." in name or ".3.0." in name or ".5.0." in name}
    assert len(norms) == 10
    found = pulled(plugin, learner)
    assert found == learner.params.keys() - norms
    assert any("sigma" in name for name in found)


@pytest.mark.parametrize("layers", ["head", "encoder"])
def test_layers_selects_what_is_pulled(layers: str) -> None:
    plugin = L2Init(layers=layers)
    learner = rainbow(plugin)
    assert pulled(plugin, learner) == {name for name in learner.params if name.startswith(layers)}


def test_what_it_cannot_pull_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="no trained parameter beside those of norms matches layers=trunk"):
        rainbow(L2Init(layers="trunk"))
    with pytest.raises(NothingToActOn, match=r"matches layers=1"):
        learner_of(lambda: nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), torch.ones(3, 2), None, L2Init(layers="1"))


def test_the_origin_stays_while_training() -> None:
    learner = rainbow(L2Init())
    first = parameters(learner.model)
    train(learner, 3)
    assert changed(first, origin(learner)) == set()
    assert changed(first, parameters(learner.model)) == set(first)
    assert faults(learner) == []


def test_after_a_reset_the_new_draw_is_the_origin() -> None:
    learner = rainbow(L2Init(), Reset(layers="head", when=At(2)))
    first = parameters(learner.model)
    train(learner, 2)
    now, began = parameters(learner.model), origin(learner)
    head = {name for name in first if name.startswith("head")}
    assert changed({n: now[n] for n in head}, {n: began[n] for n in head}) == set()
    assert changed(first, began) == head - {name for name in head if "sigma" in name}


def test_shrink_and_perturb_moves_the_origin_with_the_weights() -> None:
    learner = rainbow(L2Init(), ShrinkPerturb(shrink=0.8, when=At(3)))
    train(learner, 2)
    distance = {n: p - origin(learner)[n] for n, p in parameters(learner.model).items() if n.startswith("encoder")}
    learner.optimizer.param_groups[0]["lr"] = 0.0
    train(learner, 1)
    now, began = parameters(learner.model), origin(learner)
    for name, before in distance.items():
        torch.testing.assert_close(now[name] - began[name], 0.8 * before, atol=1e-6, rtol=1e-4)


def test_an_injected_head_is_pulled_to_its_own_draw_and_the_frozen_ones_are_not_pulled() -> None:
    plugin = L2Init()
    learner = rainbow(plugin, PlasticityInjection(when=At(2)))
    train(learner, 2)
    assert plugin._origin.keys() == learner.params.keys()
    assert not any(name.startswith(("head.old", "head.new_frozen")) for name in plugin._origin)
    new = {name: p for name, p in parameters(learner.model).items() if name.startswith("head.new.")}
    assert changed(new, {name: origin(learner)[name] for name in new}) == set()
    train(learner, 2)
    assert faults(learner) == []
    assert plugin._origin["head.new.value.0.weight_mu"].data_ptr() == (
        learner.copies["l2_init"].get_parameter("head.new.value.0.weight_mu").data_ptr()
    )


def test_a_checkpoint_knows_the_origin() -> None:
    def begin(seed: int = 0) -> Learner:
        plugins: list[Any] = [L2Init(strength=1.0), Reset(when=At(2)), PlasticityInjection(when=At(3))]
        return rainbow(*plugins, seed=seed)

    straight, first = begin(), begin()
    train(straight, 6)
    train(first, 4)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = begin()
    second.load_state_dict(torch.load(file, weights_only=True))
    second.clock.advance(updates=4)
    second.clock.tick()
    train(second, 2)
    assert changed(parameters(straight.model), parameters(second.model)) == set()
    assert changed(origin(straight), origin(second)) == set()


def test_of_twin_critics_each_is_pulled() -> None:
    inputs = pair()

    class Valued(Critic):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x, inputs[1])

    learner = learner_of(Valued, inputs[0], None, L2Init(strength=0.5), loss=flat)
    before = moved(learner, 1.0)
    train(learner, 1)
    expected = {name: value + (1.0 if name.startswith("trunk.1") else 0.9) for name, value in before.items()}
    for name, weights in parameters(learner.model).items():
        torch.testing.assert_close(weights, expected[name])
    assert faults(learner) == []


def test_the_losses_that_become_priorities_are_without_it() -> None:
    ours, plain = rainbow(L2Init(strength=1e3)), rainbow()
    for learner in (ours, plain):
        moved(learner, 0.01)
    assert torch.equal(ours.update(batch()), plain.update(batch()))
    assert state(ours)
