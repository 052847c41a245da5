"""Rational activations: their values, where they begin, that they learn, and that nothing confuses them."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.schedule import Always, At
from plastic.core.units.unit_graph import unit_graph
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.rational import _START, Rational, RationalActivation
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.probes.active_units import ActiveUnits
from plastic.testing.invariants import faults
from tests.core.layers.critics import Actor, Critic, pair
from tests.plugins.learners import ACTIONS, ATOMS, learner_of, linear, measure, network, parameters, rainbow, train


def quotient(x: Tensor, c: Tensor) -> Tensor:
    """The formula term by term."""
    above = torch.stack([a * x**power for power, a in enumerate(c[:6])]).sum(0)
    below = 1 + torch.stack([(b * x**power).abs() for power, b in enumerate(c[6:], start=1)]).sum(0)
    return above / below


def test_the_values_are_those_of_the_formula() -> None:
    random = torch.Generator().manual_seed(0)
    activation = Rational()
    x = torch.linspace(-4, 4, 101)
    torch.testing.assert_close(activation(x), quotient(x, torch.tensor(_START)), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        activation.coefficients.copy_(torch.randn(1, 10, generator=random))
    torch.testing.assert_close(activation(x), quotient(x, activation.coefficients[0]), rtol=1e-4, atol=1e-4)


def test_it_begins_as_a_leaky_relu() -> None:
    x = torch.linspace(-3, 3, 301)
    apart = (Rational()(x) - F.leaky_relu(x, 0.01)).abs()
    assert apart.max() < 0.05
    assert apart.mean() < 0.01


def test_it_has_no_poles() -> None:
    activation = Rational()
    with torch.no_grad():
        activation.coefficients.fill_(-3.0)
    assert activation(torch.linspace(-100, 100, 2001)).isfinite().all()


@pytest.mark.parametrize(("layers", "count"), [("whole", 5), ("head", 2), ("encoder.2", 1)])
def test_each_layer_has_ten_coefficients_of_its_own(layers: str, count: int) -> None:
    model = RationalActivation(layers).build(network())
    names = [name for name, _ in model.named_parameters() if name.endswith("coefficients")]
    assert len(names) == count
    assert {model.get_parameter(name).numel() for name in names} == {10}
    assert len(unit_graph(model)) == 5
    assert model(torch.rand(2, 4, 36, 36)).shape == (2, ACTIONS, ATOMS)


def test_of_twin_critics_each_has_its_own() -> None:
    torch.manual_seed(0)
    model = RationalActivation().build(Critic())
    sizes = {name: tuple(p.shape) for name, p in model.named_parameters() if name.endswith("coefficients")}
    assert sizes == {
        **{f"encoder.{place}.coefficients": (1, 10) for place in (2, 4)},
        **{f"head.{place}.coefficients": (2, 10) for place in (1, 3)},
    }
    before = model(*pair())
    with torch.no_grad():
        model.get_parameter("head.1.coefficients")[1].mul_(0.5)
    after = model(*pair())
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.isclose(before[:, 1], after[:, 1]).any()
    actor = RationalActivation().build(Actor())
    assert [type(actor.get_submodule(units.activation)) for units in unit_graph(actor)] == [nn.Tanh, Rational, Rational]


def test_it_learns_what_no_relu_of_this_width_can() -> None:
    """A single unit learns a parabola."""
    x = torch.linspace(-1, 1, 64).unsqueeze(1)

    def error(*plugins: RationalActivation) -> float:
        learner = learner_of(
            lambda: nn.Sequential(linear([[1.0]]), nn.ReLU(), linear([[1.0]])),
            x,
            x.square(),
            *plugins,
            optimizer=partial(torch.optim.Adam, lr=0.02),
        )
        return float(train(learner, 150)[-1].mean())

    assert error(RationalActivation()) < 0.1 * error()


def test_a_reset_puts_the_coefficients_back_and_an_injection_gives_new_ones() -> None:
    learner = rainbow(RationalActivation(), Reset(layers="head", when=At(3)), PlasticityInjection(when=At(2)))
    train(learner, 1)
    assert not torch.equal(parameters(learner.model)["head.value.1.coefficients"], torch.tensor([_START]))
    train(learner, 1)
    trained = [name for name in learner.params if name.endswith("coefficients") and name.startswith("head")]
    assert trained == ["head.new.value.1.coefficients", "head.new.advantage.1.coefficients"]
    train(learner, 1)
    for name, value in parameters(learner.model).items():
        if name.startswith("head") and name.endswith("coefficients"):
            assert torch.equal(value, torch.tensor([_START]))
    train(learner, 1)
    assert faults(learner) == []


def test_weight_decay_can_be_told_to_leave_them() -> None:
    ours = rainbow(RationalActivation(), L2(strength=0.5, decoupled=True, layers="not-*.coefficients"))
    plain = rainbow(RationalActivation())
    train(ours, 1)
    train(plain, 1)
    decayed = {name for name, p in parameters(plain.model).items() if not torch.equal(p, ours.params[name].detach())}
    assert decayed == {name for name in ours.params if not name.endswith("coefficients")}


def test_active_units_do_not_count_it() -> None:
    learner = rainbow(RationalActivation(layers="head"), ActiveUnits(when=Always()))
    assert measure(learner).keys() == {
        f"active_units/{key}" for key in ("encoder", "total", "alive/encoder", "alive/total")
    }


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="rational: no hidden layer matches layers=trunk"):
        RationalActivation(layers="trunk").build(network())
    with pytest.raises(NothingToActOn, match="rational replaces ReLU"):
        RationalActivation().build(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    with pytest.raises(UsageError, match="'crelu' and 'rational' both claim the activation"):
        refuse_conflicts([Addressed({"rainbow": ConcatenatedReLU()}), Addressed({"rainbow": RationalActivation()})])
