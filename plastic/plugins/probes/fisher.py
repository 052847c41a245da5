"""Trace of the empirical Fisher matrix."""

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.core.layers import unscaled
from plastic.core.learning.per_sample import sample_gradients
from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.pooling import by_module, total


@frozen(eq=False)
class Fisher(Probe):
    """Trace of the empirical Fisher matrix (Lee et al., 2023, arXiv:2306.10711, section 5.1), under its exact name.

    `per_sample/...` is sum over parameters of the mean over samples of g_i^2, g_i being the gradient of sample i's
    loss: the trace. `batch/...` is |mean over samples of g_i|^2. `official_mean/...` is the sum over tensors
    of the *mean* of the entries of (mean of g_i)^2, which is what PLASTIC's released code computes and no trace.
    The three differ by orders of magnitude.

    The loss is without importance weights and noise, its target fixed. Parameters that it does not reach then (the
    deviations of noisy layers) are left out, and no gradient is scaled on its way, as that of a dueling network is
    in training.

    Attributes:
        estimator: Which of the three.
        when: At which updates.
    """

    name = "fisher"
    estimator: Literal["per_sample", "batch", "official_mean"] = "per_sample"
    when: Schedule = Every(10_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """By module and in total."""
        traces = by_module(self._by_parameter(unscaled(subject.model), subject), total)
        return {f"{self.estimator}/{key}": trace for key, trace in traces.items()}

    def _by_parameter(self, model: nn.Module, subject: Subject) -> Iterator[tuple[str, Tensor]]:
        if self.estimator == "per_sample":
            for name, squares in sample_gradients(model, subject.loss).items():
                yield name, squares.mean()
            return
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        with torch.enable_grad():
            mean = subject.loss(model).mean()
            gradients = torch.autograd.grad(mean, list(trained.values()), allow_unused=True)
        for name, gradient in zip(trained, gradients, strict=True):
            if gradient is not None:
                squares = gradient.square()
                yield name, squares.sum() if self.estimator == "batch" else squares.mean()
