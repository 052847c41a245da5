"""Norm and sparsity of the gradient."""

from collections.abc import Mapping

import torch
from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.pooling import by_module, counted, joint_norm, share


@frozen(eq=False)
class GradientNorm(Probe):
    """L2 norm of the gradient of the mean loss, before clipping, without noise and importance weights.

    `zero/...` is the share of its entries that are exactly zero. Parameters that the loss does not
    reach without noise (the deviations of noisy layers) are left out of both.

    Attributes:
        when: At which updates.
    """

    name = "gradient_norm"
    when: Schedule = Every(1_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """By module and in total."""
        trained = {name: p for name, p in subject.model.named_parameters() if p.requires_grad}
        with torch.enable_grad():
            loss = subject.loss(subject.model).mean()
            gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
        reached = [(name, g) for name, g in zip(trained, gradients, strict=True) if g is not None]
        norms = by_module(((name, gradient.norm()) for name, gradient in reached), joint_norm)
        zeros = by_module(((name, counted(gradient == 0)) for name, gradient in reached), share)
        return norms | {f"zero/{key}": zero for key, zero in zeros.items()}
