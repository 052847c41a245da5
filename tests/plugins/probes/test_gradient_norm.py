"""Gradient norm: against a derivative by hand and against plain autograd; the share of exact zeros."""

import pytest
import torch
from torch import nn

from plastic.core.learning.learner import Learner
from plastic.core.schedule import Always, At
from plastic.core.streams import generator
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.probes.gradient_norm import GradientNorm
from tests.plugins.learners import (
    Parts,
    assert_it_only_looks,
    gradients_at,
    learner_of,
    linear,
    measure,
    norm,
    rainbow,
)


def test_by_hand() -> None:
    """y = h relu(w x + c) + d; x = 1, 3, target 0: L = mean(y^2)."""
    model = Parts(nn.Sequential(linear([[2.0], [-1.0]]), nn.ReLU()), linear([[0.5, 1.0]]))
    inputs = torch.tensor([[1.0], [3.0]])
    # hidden (2, 0), (6, 0); y = 1, 3; dL/dy = y (half of 2 y): head gradient (1*2 + 3*6, 0) and bias 1 + 3
    head = [20.0, 0.0, 4.0]
    # through 0.5 to unit 0: w 0.5 (1*1 + 3*3), c 0.5 (1 + 3); unit 1 is off
    encoder = [5.0, 0.0, 2.0, 0.0]
    measured = measure(learner_of(lambda: model, inputs, None, GradientNorm(when=Always())))
    assert measured == {
        "gradient_norm/encoder": pytest.approx(norm([torch.tensor(encoder)])),
        "gradient_norm/head": pytest.approx(norm([torch.tensor(head)])),
        "gradient_norm/total": pytest.approx(norm([torch.tensor(head + encoder)])),
        "gradient_norm/zero/encoder": 2 / 4,
        "gradient_norm/zero/head": pytest.approx(1 / 3),
        "gradient_norm/zero/total": pytest.approx(3 / 7),
    }


def by_autograd(learner: Learner) -> dict[str, torch.Tensor]:
    """Of the mean loss on the batch that was looked at, in evaluation mode, with equal weights."""
    stream = generator(0, "rainbow", "subject", learner.clock.now.updates)
    looked_at = learner.objective.sample(stream)
    return gradients_at(learner, looked_at._replace(weight=torch.ones(len(looked_at.weight))), training=False)


def test_on_rainbow_it_is_plain_autograd_without_noise_clipping_and_importance_weights() -> None:
    learner = rainbow(GradientNorm(when=Always()), max_grad_norm=1e-9)
    measured = measure(learner)
    gradients = by_autograd(learner)
    assert measured["gradient_norm/total"] == pytest.approx(norm(gradients), rel=1e-5)
    for part in ("encoder", "head"):
        own = {name: gradient for name, gradient in gradients.items() if name.startswith(part)}
        assert measured[f"gradient_norm/{part}"] == pytest.approx(norm(own), rel=1e-5)
    assert not any(gradient.any() for name, gradient in gradients.items() if "sigma" in name)


def test_deviations_that_the_loss_does_not_reach_are_no_zeros() -> None:
    learner = rainbow(GradientNorm(when=Always()))
    measured = measure(learner)
    reached = {name: g for name, g in by_autograd(learner).items() if "sigma" not in name}
    zeros = sum(int((gradient == 0).sum()) for gradient in reached.values())
    entries = sum(gradient.numel() for gradient in reached.values())
    assert measured["gradient_norm/zero/total"] == pytest.approx(zeros / entries)


def test_the_frozen_heads_of_an_injection_are_left_out() -> None:
    learner = rainbow(PlasticityInjection(when=At(1)), GradientNorm(when=Always()))
    measure(learner)
    measured = measure(learner)
    head = {name: g for name, g in by_autograd(learner).items() if name.startswith("head")}
    assert all(name.startswith("head.new.") for name in head)
    assert measured["gradient_norm/head"] == pytest.approx(norm(head), rel=1e-5)


def test_it_only_looks_and_leaves_no_gradient() -> None:
    assert_it_only_looks(GradientNorm(when=Always()))
    learner = rainbow(GradientNorm(when=Always()))
    measure(learner)
    assert all(parameter.grad is None for parameter in learner.model.parameters())
