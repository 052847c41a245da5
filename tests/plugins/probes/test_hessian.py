"""Ends of the Hessian's spectrum: by hand, against dense matrices, and against curvlinops with scipy."""

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
import torch
from curvlinops import HessianLinearOperator
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn

from plastic.agents.rainbow.networks import Head, Network, noisy
from plastic.core.layers import EnsembleLinear, MemberNorm
from plastic.core.learning.learner import Learner
from plastic.core.objective import Objective
from plastic.core.schedule import Always, At, Clock
from plastic.core.streams import generator
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.probes.hessian import Hessian, lanczos
from tests.core.layers.critics import Actor, Critic
from tests.plugins.learners import ACTIONS, ATOMS, SGD, assert_it_only_looks, learner_of, linear, measure, rainbow
from tests.plugins.probes import critics


def dense(loss: Tensor, model: nn.Module) -> Tensor:
    """The Hessian of the trained parameters that the loss depends on, all rows at a time."""
    trained = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, trained, create_graph=True, allow_unused=True)
    reached = [p for p, g in zip(trained, gradients, strict=True) if g is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients if g is not None])
    unit = torch.eye(len(flat))
    rows = torch.autograd.grad(flat, reached, unit, is_grads_batched=True, materialize_grads=True)
    return torch.cat([row.flatten(1) for row in rows], 1).double()


def test_by_hand() -> None:
    """Loss (w x + c)^2: the Hessian is 2 [[x^2, x], [x, 1]], so 2 (1 + x^2) and 0."""
    probe = Hessian(when=Always())
    measured = measure(learner_of(lambda: linear([[1.0]]), torch.tensor([[3.0]]), None, probe))
    assert measured["hessian/largest"] == pytest.approx(20.0)
    assert measured["hessian/smallest"] == pytest.approx(0.0, abs=1e-4)
    assert measured["hessian/residual/largest"] == pytest.approx(0.0, abs=1e-4)


def test_the_sign_is_kept() -> None:
    """-(w x)^2: the largest in magnitude is the smallest."""
    learner = learner_of(
        lambda: nn.Linear(1, 1, bias=False),
        torch.tensor([[3.0]]),
        torch.zeros(1, 1),
        Hessian(when=Always()),
        loss=lambda outputs, targets: -outputs.square().sum(1),
    )
    assert measure(learner)["hessian/largest"] == measure(learner)["hessian/smallest"] == pytest.approx(-18.0)


def test_a_loss_without_curvature_has_none() -> None:
    learner = learner_of(
        lambda: nn.Linear(2, 1),
        torch.ones(3, 2),
        torch.zeros(3, 1),
        Hessian(when=Always()),
        loss=lambda outputs, targets: outputs.sum(1),
    )
    assert set(measure(learner).values()) == {0.0}


def test_a_loss_that_is_not_finite_has_none() -> None:
    measured = measure(
        learner_of(lambda: nn.Linear(1, 1), torch.tensor([[math.inf]]), torch.zeros(1, 1), Hessian(when=Always()))
    )
    assert all(math.isnan(value) for value in measured.values())


@pytest.mark.parametrize("spectrum", [[5.0, 1.0, 0.5, -3.0], [2.0, 2.0, 2.0], [-1.0, -4.0], [7.0]])
def test_lanczos_finds_the_ends_of_a_spectrum(spectrum: list[float]) -> None:
    random = torch.Generator().manual_seed(0)
    turned, _ = torch.linalg.qr(torch.randn(len(spectrum), len(spectrum), generator=random))
    matrix = turned @ torch.diag(torch.tensor(spectrum)) @ turned.t()
    values, residuals = lanczos(matrix.mv, torch.randn(len(spectrum), generator=random), 10, 0.0)
    assert float(values[-1]) == pytest.approx(max(spectrum), rel=1e-4)
    assert float(values[0]) == pytest.approx(min(spectrum), rel=1e-4)
    assert float(residuals.max()) < 1e-3


def test_residuals_bound_the_error_and_the_tolerance_ends_the_search() -> None:
    random = torch.Generator().manual_seed(0)
    spectrum = torch.cat((torch.linspace(-1, 1, 98), torch.tensor([1.5, 9.0])))
    asked: list[int] = []

    def product(vector: Tensor) -> Tensor:
        asked.append(1)
        return spectrum * vector

    start = torch.randn(100, generator=random)
    for steps in (1, 3, 6):
        values, residuals = lanczos(product, start, steps, 0.0)
        for value, residual in zip(values, residuals, strict=True):
            assert float((spectrum - value).abs().min()) <= float(residual) + 1e-5
    asked.clear()
    lanczos(product, start, 100, 0.1)
    assert 3 < len(asked) < 20


def small() -> nn.Module:
    """Rainbow's network with few parameters."""
    encoder = nn.Sequential(nn.Conv2d(4, 2, 4, 6), nn.ReLU(), nn.Conv2d(2, 2, 3, 2), nn.ReLU(), nn.Flatten())
    return Network(encoder, Head(8, 3, ACTIONS, ATOMS, noisy(0.5), dueling=True), 2**-0.5)


def partly_frozen(model: nn.Module) -> nn.Module:
    """Only its small layers learn, so that a dense matrix stays small."""
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.numel() < 100)
    return model


def networks() -> Mapping[str, Learner]:
    probe = Hessian(steps=150, tolerance=3e-4, when=Always())

    class Raised(Objective):
        """Of an actor that climbs what a critic says."""

        def __init__(self) -> None:
            torch.manual_seed(1)
            self.critic, self.features = Critic(), torch.rand(16, 128)

        def losses(self, model: nn.Module, batch: Any, target: Any) -> Tensor:
            action = model(self.features)[:, :2].tanh()
            values: Tensor = self.critic.head(torch.cat((self.critic.trunk(self.features), action), 1))
            return -values.squeeze(2).amin(1)

        def inputs(self, batch: Any) -> tuple[Tensor, ...]:
            return (self.features,)

        def sample(self, generator: torch.Generator) -> Any:
            return None

    return {
        "rainbow": rainbow(probe, make=small),
        "rainbow with norms": rainbow(LayerNorm(layers="head"), probe, make=small),
        "rainbow, injected": rainbow(PlasticityInjection(when=At(1)), probe, make=small),
        "critics": Learner(
            "critic", lambda: partly_frozen(critics.critic()), critics.Zero(), SGD, plugins=[probe], clock=Clock()
        ),
        "actor": Learner("actor", lambda: partly_frozen(Actor()), Raised(), SGD, plugins=[probe], clock=Clock()),
    }


def looked_at(learner: Learner) -> tuple[nn.Module, Tensor]:
    """The network whose curvature is measured, and its loss: on the batch looked at, without noise."""
    given = learner.objective.sample(generator(0, learner.name, "subject", learner.clock.now.updates))
    for part in (learner.model, *learner.copies.values()):
        part.eval()
    with torch.no_grad():
        target = learner.objective.target(learner.model, learner.copies, given)
    model = deepcopy(learner.model)
    if isinstance(model, Network):
        model.scale = nn.Identity()  # type: ignore[assignment]  # curvature is that of what the network computes
    return model, learner.objective.losses(model, given, target).mean()


@pytest.mark.parametrize("name", ["rainbow", "rainbow with norms", "rainbow, injected", "critics", "actor"])
def test_it_is_what_a_dense_matrix_gives(name: str) -> None:
    learner = networks()[name]
    if "injected" in name:
        measure(learner)  # and then it is
    measured = measure(learner)
    model, loss = looked_at(learner)
    matrix = dense(loss, model)
    eigenvalues = torch.linalg.eigvalsh(matrix)
    size = float(eigenvalues.abs().max())
    torch.testing.assert_close(matrix, matrix.t(), rtol=0, atol=1e-4 * size)
    assert size > 1e-3
    assert measured["hessian/largest"] == pytest.approx(float(eigenvalues[-1]), abs=2e-4 * size)
    assert measured["hessian/smallest"] == pytest.approx(float(eigenvalues[0]), abs=2e-4 * size)
    assert max(measured["hessian/residual/largest"], measured["hessian/residual/smallest"]) < 1e-3 * size


@pytest.mark.parametrize("kind", ["convolutions", "critics"])
def test_it_is_what_curvlinops_and_scipy_give(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "critics":
        model, inputs = (
            nn.Sequential(EnsembleLinear(2, 4, 6), MemberNorm(2, 6), nn.Tanh(), nn.Flatten()),
            torch.randn(9, 4),
        )
    else:
        model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5), nn.Tanh(), nn.Linear(5, 3))
        inputs = torch.randn(9, 2, 5, 5)
    targets = torch.randn_like(model(inputs)).detach()
    operator = HessianLinearOperator(
        model.eval(), nn.MSELoss(), list(model.parameters()), [(inputs, targets)]
    ).to_scipy()
    ends = [float(eigsh(operator, k=1, which=which)[0][0]) for which in ("SA", "LA")]
    learner = learner_of(
        lambda: model,
        inputs,
        targets,
        Hessian(steps=100, tolerance=1e-5, when=Always()),
        loss=lambda outputs, wanted: (outputs - wanted).square().mean(1),
    )
    measured = measure(learner)
    assert [measured["hessian/smallest"], measured["hessian/largest"]] == pytest.approx(ends, rel=1e-3)


def test_the_start_is_drawn_from_the_probes_own_stream() -> None:
    """With two steps the start decides: another seed, another number, and the same one again."""
    values = [
        measure(rainbow(Hessian(2, 0.0, Always()), make=small, seed=seed))["hessian/largest"] for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


def test_more_steps_and_a_smaller_tolerance_come_nearer() -> None:
    def residual(steps: int, tolerance: float) -> float:
        return measure(rainbow(Hessian(steps, tolerance, Always()), make=small))["hessian/residual/largest"]

    assert residual(20, 0.0) < 0.1 * residual(3, 0.0)
    assert residual(20, 0.0) < residual(20, 0.1)


def test_it_only_looks() -> None:
    assert_it_only_looks(Hessian(steps=3, when=Always()))
