"""Norm and sparsity of the gradient."""

from collections.abc import Mapping

import torch
from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.unit_graph import module_of


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
        norms: dict[str, list[Tensor]] = {}
        zeros: dict[str, list[Tensor]] = {}
        entries: dict[str, int] = {}
        for name, gradient in zip(trained, gradients, strict=True):
            if gradient is not None:
                for key in (module_of(name), "total"):
                    norms.setdefault(key, []).append(gradient.norm())
                    zeros.setdefault(key, []).append((gradient == 0).sum())
                    entries[key] = entries.get(key, 0) + gradient.numel()
        measured = {key: torch.stack(parts).norm() for key, parts in norms.items()}
        return measured | {f"zero/{key}": torch.stack(parts).sum() / entries[key] for key, parts in zeros.items()}
