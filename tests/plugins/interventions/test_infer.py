"""InFeR: its value and gradient, towards which outputs, and that nothing else notices the heads."""

import io
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.learning.learner import Learner
from plastic.core.schedule import Always, At
from plastic.core.units.unit_graph import unit_graph
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.dropout import Dropout
from plastic.plugins.interventions.infer import InFeR, Predicting
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.probes.active_units import ActiveUnits
from plastic.plugins.probes.feature_rank import FeatureRank
from plastic.plugins.probes.gradient_norm import GradientNorm
from plastic.testing.compare import same
from plastic.testing.invariants import faults
from tests.core.layers.critics import Actor, Critic, pair
from tests.plugins.learners import ACTIONS, ATOMS, batch, learner_of, measure, network, parameters, rainbow, train

X = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def flat(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss that moves nothing."""
    return 0 * outputs.sum(1)


def make() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def predicted(weights: Any) -> Tensor:
    """g(x): [B, k], from weights by name."""
    features = (X @ weights["0.weight"].T + weights["0.bias"]).relu()
    value: Tensor = features @ weights["1.heads.weight"].T + weights["1.heads.bias"]
    return value


def test_the_value_is_that_of_the_formula() -> None:
    plugin = InFeR(heads=3, alpha=0.2, beta=5.0)
    learner = learner_of(make, X, None, plugin, loss=flat)
    first = parameters(learner.model)
    torch.testing.assert_close(plugin.penalty(learner.model, (X,)), 0.2 * (4 * predicted(first)).square().sum(1).mean())
    with torch.no_grad():
        for parameter in learner.params.values():
            parameter.add_(0.1)
    now = predicted(dict(learner.params))
    expected = 0.2 * (now - 5 * predicted(first)).square().sum(1).mean()
    ours = plugin.penalty(learner.model, (X,))
    torch.testing.assert_close(ours, expected)
    names = ("0.weight", "0.bias", "1.heads.weight", "1.heads.bias")
    held = [learner.params[name] for name in names]
    for one, other in zip(torch.autograd.grad(ours, held), torch.autograd.grad(expected, held), strict=True):
        torch.testing.assert_close(one, other)


def test_features_come_to_predict_beta_times_the_first_outputs() -> None:
    learner = learner_of(
        make, X, None, InFeR(heads=2, alpha=1.0, beta=3.0), loss=flat, optimizer=partial(torch.optim.Adam, lr=0.02)
    )
    first = predicted(parameters(learner.model))
    apart = (predicted(parameters(learner.model)) - 3 * first).norm()
    train(learner, 400)
    assert (predicted(parameters(learner.model)) - 3 * first).norm() < 0.25 * apart


@pytest.mark.parametrize("change", [{"heads": 4}, {"alpha": 0.2}, {"beta": 50.0}])
def test_each_option_changes_the_penalty(change: Any) -> None:
    def penalty(**options: Any) -> Tensor:
        plugin = InFeR(**options)
        return plugin.penalty(learner_of(make, X, None, plugin, loss=flat).model, (X,)).detach()

    assert not torch.isclose(penalty(), penalty(**change))


def test_the_network_gives_what_it_gave_and_its_units_are_the_same() -> None:
    images = torch.rand(3, 4, 36, 36)
    plain, model = rainbow().model, rainbow(InFeR()).model
    assert torch.equal(plain(images), model(images))
    both = [[(units.layer, units.readers) for units in unit_graph(net)] for net in (plain, model)]
    assert both[0] == both[1]
    added = parameters(model).keys() - parameters(plain).keys()
    assert added == {
        f"head.{stream}.1.heads.{name}" for stream in ("value", "advantage") for name in ("weight", "bias")
    }


def heads(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {
        path: tuple(module.heads.get_parameter("weight").shape)
        for path, module in model.named_modules()
        if isinstance(module, Predicting)
    }


def test_heads_read_the_last_hidden_layer_of_each_stream_and_member() -> None:
    assert heads(InFeR(heads=5).build(network())) == {"head.value.1": (5, 16), "head.advantage.1": (5, 16)}
    critic = InFeR().build(Critic())
    assert heads(critic) == {"head.3": (2, 10, 6)}
    assert critic(*pair()).shape == (16, 2)
    assert heads(InFeR().build(Actor())) == {"head.3": (10, 6)}


def test_with_crelu_they_read_both_halves_and_with_a_norm_what_is_behind_it() -> None:
    model = InFeR().build(LayerNorm().build(ConcatenatedReLU(style="input").build(network())))
    assert heads(model) == {"head.value.1.1": (10, 32), "head.advantage.1.1": (10, 32)}
    assert model(torch.rand(2, 4, 36, 36)).shape == (2, ACTIONS, ATOMS)


def test_noise_and_masks_are_left_out_so_that_beta_of_one_begins_at_zero() -> None:
    plugin = InFeR(beta=1.0)
    learner = rainbow(plugin, Dropout(p=0.5))
    images = torch.rand(3, 4, 36, 36)
    assert plugin.penalty(learner.model, (images,)) == 0
    train(learner, 1)
    assert plugin.penalty(learner.model, (images,)) > 0
    assert all(module.training for module in learner.model.modules())


def test_batch_statistics_advance_for_training_alone() -> None:
    def normed() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))

    ours, plain = (learner_of(normed, X, None, *plugins) for plugins in ([InFeR()], []))
    for learner in (ours, plain):
        learner.update((X, torch.zeros(8, 2)))
    assert same(dict(ours.model.named_buffers()), dict(plain.model.named_buffers()))


def test_sam_evaluates_it_where_it_evaluates_the_loss() -> None:
    """rho e moves the heads, too; the step is the gradient there."""
    options: Any = {"loss": flat, "optimizer": partial(torch.optim.SGD, lr=1.0)}
    plugin = InFeR(heads=2, alpha=0.01, beta=2.0)
    learner = learner_of(make, X, None, plugin, SAM(rho=0.5), **options)
    first = parameters(learner.model)

    def gradient(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        at = {name: value.clone().requires_grad_() for name, value in weights.items()}
        penalty = 0.01 * (predicted(at) - 2 * predicted(first)).square().sum(1).mean()
        found = torch.autograd.grad(penalty, list(at.values()), materialize_grads=True)
        return dict(zip(at, found, strict=True))

    ascent = gradient(first)
    norm = torch.stack([value.norm() for value in ascent.values()]).norm()
    there = gradient({name: value + 0.5 * ascent[name] / norm for name, value in first.items()})
    learner.update((X, torch.zeros(8, 2)))
    for name, value in parameters(learner.model).items():
        torch.testing.assert_close(value, first[name] - there[name], rtol=1e-3, atol=1e-5)


def test_after_a_reset_the_first_outputs_are_those_of_the_new_draw() -> None:
    plugin = InFeR(beta=1.0)
    learner = rainbow(plugin, Reset(layers="whole", when=At(2)))
    images = torch.rand(3, 4, 36, 36)
    train(learner, 1)
    assert plugin.penalty(learner.model, (images,)) > 0
    train(learner, 1)
    assert plugin.penalty(learner.model, (images,)) == 0
    assert faults(learner) == []


def test_after_an_injection_the_new_heads_learn_and_the_old_ones_do_not() -> None:
    plugin = InFeR()
    learner = rainbow(plugin, PlasticityInjection(when=At(1)), ShrinkPerturb(when=At(2)))
    train(learner, 1)
    assert plugin._paths == ("head.new.value.1", "head.new.advantage.1")
    before = parameters(learner.model)
    train(learner, 2)
    moved = {name for name, value in parameters(learner.model).items() if not torch.equal(value, before[name])}
    assert {name for name in moved if "heads" in name} == {
        f"{path}.heads.{name}" for path in plugin._paths for name in ("weight", "bias")
    }
    assert faults(learner) == []


def test_probes_work_beside_it() -> None:
    when = Always()
    learner = rainbow(InFeR(), ActiveUnits(when=when), FeatureRank(when=when), GradientNorm(when=when))
    plain = rainbow(ActiveUnits(when=when), FeatureRank(when=when), GradientNorm(when=when))
    assert measure(learner).keys() == measure(plain).keys()


def test_a_run_goes_on_exactly() -> None:
    def begin() -> Learner:
        return rainbow(InFeR(), Reset(when=At(2)), PlasticityInjection(when=At(3)))

    straight, first = begin(), begin()
    train(straight, 5)
    train(first, 4)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = begin()
    second.load_state_dict(torch.load(file, weights_only=True))
    second.clock.advance(updates=4)
    second.clock.tick()
    train(second, 1)
    assert same(parameters(straight.model), parameters(second.model))


def test_after_an_injection_noise_is_still_drawn_for_the_pair_of_heads() -> None:
    """They share a sample, which the penalty's passes must leave in its place."""
    learner = rainbow(InFeR(), PlasticityInjection(when=At(1)))
    train(learner, 2)
    seen = []
    for _ in range(2):
        learner.draw_noise()
        seen.append(learner.model.get_buffer("head.new.value.0.noise.inputs").clone())
    assert not torch.equal(*seen)
    shared = (learner.model.get_submodule(f"head.{part}.value.0.noise") for part in ("new", "new_frozen"))
    assert len(set(shared)) == 1


def test_priorities_are_without_it() -> None:
    ours, plain = rainbow(InFeR()), rainbow()
    assert torch.equal(ours.update(batch()), plain.update(batch()))


def test_what_it_cannot_do_is_refused() -> None:
    message = "infer reads the last hidden layer, and this network has none that is linear"
    with pytest.raises(NothingToActOn, match=message):
        InFeR().build(nn.Linear(3, 2))
    with pytest.raises(NothingToActOn, match=message):
        InFeR().build(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)))
