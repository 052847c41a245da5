"""Trace of the empirical Fisher matrix: by hand, and against one backward pass for each sample."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from plastic.core.layers import unscaled
from plastic.core.learning.learner import Learner
from plastic.core.schedule import Always, At
from plastic.core.streams import generator
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.probes.fisher import Fisher
from plastic.plugins.probes.gradient_norm import GradientNorm
from tests.core.layers.critics import pair
from tests.plugins.learners import Parts, assert_it_only_looks, learner_of, linear, measure, rainbow
from tests.plugins.probes import critics

Estimator = Literal["per_sample", "batch", "official_mean"]


def three() -> list[Fisher]:
    return [Fisher(estimator, Always()) for estimator in ("per_sample", "batch", "official_mean")]


def test_by_hand() -> None:
    """y = h relu(w x + c) + d; x = 1, 3, target 0, loss y^2, so dL/dy = 2 y."""
    model = Parts(nn.Sequential(linear([[2.0], [-1.0]]), nn.ReLU()), linear([[0.5, 1.0]]))
    # hidden (2, 0), (6, 0); y = 1, 3; dL/dy = 2, 6
    head = torch.tensor([[2 * 2, 0, 2], [6 * 6, 0, 6.0]])  # by h and d
    encoder = torch.tensor([[2 * 0.5 * 1, 0, 2 * 0.5, 0], [6 * 0.5 * 3, 0, 6 * 0.5, 0]])  # by w and c
    inputs = torch.tensor([[1.0], [3.0]])
    measured = measure(learner_of(lambda: model, inputs, None, *three()))
    both = torch.cat((encoder, head), 1)
    for key, rows in (("encoder", encoder), ("head", head), ("total", both)):
        assert measured[f"fisher/per_sample/{key}"] == pytest.approx(float(rows.square().sum(1).mean()))
        assert measured[f"fisher-2/batch/{key}"] == pytest.approx(float(rows.mean(0).square().sum()))
    tensors = [encoder[:, :2], encoder[:, 2:], head[:, :2], head[:, 2:]]
    means = [float(rows.mean(0).square().mean()) for rows in tensors]
    assert measured["fisher-3/official_mean/encoder"] == pytest.approx(sum(means[:2]))
    assert measured["fisher-3/official_mean/total"] == pytest.approx(sum(means))


def one_after_the_other(losses: Tensor, named: dict[str, nn.Parameter]) -> dict[str, list[Tensor]]:
    """The gradients of every sample's loss by each parameter that it reaches."""
    rows: dict[str, list[Tensor]] = {}
    for loss in losses:
        found = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
        for name, gradient in zip(named, found, strict=True):
            if gradient is not None:
                rows.setdefault(name, []).append(gradient)
    return rows


def expected(learner: Learner, key: str) -> dict[Estimator, float]:
    """All three of a Rainbow learner, at the batch last looked at: without noise, weights and scaling of gradients."""
    given = learner.objective.sample(generator(0, "rainbow", "subject", learner.clock.now.updates))
    model = unscaled(learner.model).eval()
    for copy in learner.copies.values():
        copy.eval()
    with torch.no_grad():
        target = learner.objective.target(learner.model.eval(), learner.copies, given)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    rows = one_after_the_other(learner.objective.losses(model, given, target), named)
    assert not any("sigma" in name for name in rows)
    stacked = [torch.stack(parts) for name, parts in rows.items() if name.startswith(key)]
    return {
        "per_sample": sum(float(part.square().sum()) / len(part) for part in stacked),
        "batch": sum(float(part.mean(0).square().sum()) for part in stacked),
        "official_mean": sum(float(part.mean(0).square().mean()) for part in stacked),
    }


@pytest.mark.parametrize(
    "plugins", [[], [LayerNorm()], [PlasticityInjection(when=At(1))]], ids=["bare", "norm", "new head"]
)
def test_on_rainbow_it_is_what_a_loop_over_samples_gives(plugins: list[LayerNorm | PlasticityInjection]) -> None:
    learner = rainbow(*plugins, *three())
    measure(learner)
    measured = measure(learner)
    for part in ("encoder", "head"):
        for place, (estimator, value) in enumerate(expected(learner, part).items()):
            label = "fisher" if place == 0 else f"fisher-{place + 1}"
            assert measured[f"{label}/{estimator}/{part}"] == pytest.approx(value, rel=1e-4), estimator


def test_twin_critics() -> None:
    model = critics.critic()
    measured = critics.probed(model, Fisher(when=Always()))
    rows = one_after_the_other(model(*pair()).square().mean(1), dict(model.named_parameters()))
    for key in ("encoder", "trunk", "head"):
        parts = [torch.stack(part).square().sum() / len(part) for name, part in rows.items() if name.startswith(key)]
        assert measured[f"fisher/per_sample/{key}"] == pytest.approx(float(torch.stack(parts).sum()), rel=1e-4)


def test_the_batch_estimator_is_the_gradients_norm_but_for_the_scaling_of_dueling_networks() -> None:
    learner = rainbow(Fisher("batch", Always()), GradientNorm(when=Always()))
    measured = measure(learner)
    assert measured["fisher/batch/head"] == pytest.approx(measured["gradient_norm/head"] ** 2, rel=1e-5)
    assert measured["fisher/batch/encoder"] == pytest.approx(2 * measured["gradient_norm/encoder"] ** 2, rel=1e-5)


@pytest.mark.parametrize("estimator", ["per_sample", "batch"])
def test_it_only_looks(estimator: Estimator) -> None:
    assert_it_only_looks(Fisher(estimator, Always()))
