"""Parseval regularisation: its value and gradient, which layers, and that weights become orthogonal."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.layers import EnsembleLinear, matrices
from plastic.core.learning.learner import Learner
from plastic.core.schedule import At
from plastic.plugins.interventions.parseval import Parseval, _Apart
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.spectral_norm import SpectralNorm
from plastic.testing.invariants import faults
from tests.core.layers.critics import Critic, pair
from tests.plugins.learners import batch, learner_of, linear, network, rainbow, train


def flat(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss that moves nothing."""
    return 0 * outputs.flatten(1).sum(1)


def small(weight: list[list[float]]) -> nn.Module:
    return nn.Sequential(linear(weight), nn.ReLU(), nn.Linear(len(weight), 1))


def started(plugin: Parseval, model: nn.Module) -> Parseval:
    plugin.start(model, lambda name: {})
    return plugin


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], 0.0),
        ([[2.0, 0.0], [0.0, 1.0]], 9.0),  # 4 - 1, squared
        ([[1.0, 1.0, 0.0]], 1.0),
        ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 0.0),  # more rows than columns: the columns
    ],
)
def test_the_value_worked_by_hand(weight: list[list[float]], expected: float) -> None:
    model = small(weight)
    assert started(Parseval(strength=0.5), model).penalty(model, ()).item() == pytest.approx(0.5 * expected)


def test_s_is_the_squared_length_that_is_asked_for() -> None:
    model = small([[2.0, 0.0], [0.0, 2.0]])
    assert started(Parseval(s=4.0), model).penalty(model, ()).item() == 0
    assert started(Parseval(s=1.0), model).penalty(model, ()).item() > 0


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_the_gradient_is_that_of_the_papers_form_whatever_the_shape(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(shape[1], shape[0]), nn.ReLU(), nn.Linear(shape[0], 1))
    weight = model.get_parameter("0.weight")
    penalty = started(Parseval(strength=1.0, s=0.5), model).penalty(model, ())
    paper = (weight @ weight.T - 0.5 * torch.eye(shape[0])).square().sum()
    (ours,), (theirs,) = torch.autograd.grad(penalty, weight), torch.autograd.grad(paper, weight)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(paper - penalty, torch.tensor(0.25 * max(0, shape[0] - shape[1])))


@pytest.mark.parametrize("shape", [(2, 300, 320), (1, 320, 300), (1, 257, 300), (1, 4, 9), (3, 9, 4)])
def test_the_written_gradient_is_autograds(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.double, requires_grad=True)
    ours = _Apart.apply(matrix, 0.5)  # type: ignore[no-untyped-call]
    product = matrix.mT @ matrix if shape[1] > shape[2] else matrix @ matrix.mT
    theirs = (product - 0.5 * torch.eye(product.shape[1], dtype=torch.double)).square().sum()
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(torch.autograd.grad(3 * ours, matrix), torch.autograd.grad(3 * theirs, matrix), strict=True):
        torch.testing.assert_close(one, other)


def test_weights_become_orthogonal_and_output_layers_do_not() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 6)

    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))

    learner = learner_of(make, x, None, Parseval(strength=0.5, s=2.0), loss=flat)
    output = learner.params["4.weight"].detach().clone()
    train(learner, 150)
    for name in ("0.weight", "2.weight"):
        weight = learner.params[name].detach()
        torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(4), atol=1e-3, rtol=0)
    assert torch.equal(output, learner.params["4.weight"].detach())


def touched(plugin: Parseval, learner: Learner) -> set[str]:
    penalty = plugin.penalty(learner.model, ())
    found = torch.autograd.grad(penalty, list(learner.params.values()), materialize_grads=True)
    return {name for name, gradient in zip(learner.params, found, strict=True) if gradient.any()}


@pytest.mark.parametrize("layers", ["whole", "head.value"])
def test_of_rainbow_it_touches_the_means_of_hidden_layers_alone(layers: str) -> None:
    plugin = Parseval(layers=layers)
    learner = rainbow(plugin)
    streams = {"head.value.0.weight_mu", "head.advantage.0.weight_mu"}
    assert touched(plugin, learner) == (streams if layers == "whole" else {"head.value.0.weight_mu"})


def test_after_an_injection_it_touches_the_new_head() -> None:
    plugin = Parseval()
    learner = rainbow(plugin, PlasticityInjection(when=At(1)))
    train(learner, 2)
    assert touched(plugin, learner) == {"head.new.value.0.weight_mu", "head.new.advantage.0.weight_mu"}
    assert faults(learner) == []


def test_of_twin_critics_each_is_asked_by_itself() -> None:
    torch.manual_seed(0)
    critic = Critic()
    plugin = started(Parseval(strength=1.0), critic)
    assert plugin._paths == ("trunk.0", "head.0", "head.2")
    expected = 0.0
    for path in plugin._paths:
        layer = critic.get_submodule(path)
        for matrix in layer.weight if isinstance(layer, EnsembleLinear) else [layer.get_parameter("weight")]:
            gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
            expected += float((gram - torch.eye(len(gram))).detach().square().sum())
    assert plugin.penalty(critic, pair()).item() == pytest.approx(expected, rel=1e-5)


def test_beside_spectral_norm_it_sees_the_weights_themselves() -> None:
    plugin, model = Parseval(layers="head"), SpectralNorm().build(network())
    started(plugin, model)
    before = plugin.penalty(model, ())
    with torch.no_grad():
        for path in plugin._paths:
            matrices(model.get_submodule(path)).mul_(10)
    assert plugin.penalty(model, ()) > 2 * before


def test_the_strength_changes_the_step() -> None:
    steps = []
    for strength in (0.0, 1e-3, 1.0):
        learner = rainbow(Parseval(strength=strength), optimizer=partial(torch.optim.SGD, lr=1.0), max_grad_norm=None)
        learner.update(batch())
        steps.append(learner.params["head.value.0.weight_mu"].detach().clone())
    assert not torch.equal(steps[0], steps[1])
    assert not torch.allclose(steps[1], steps[2])


def test_what_it_cannot_do_is_refused() -> None:
    message = "parseval: no hidden linear layer that learns matches layers=encoder"
    with pytest.raises(NothingToActOn, match=message):
        rainbow(Parseval(layers="encoder"))
