"""Norm of the weights."""

from collections.abc import Mapping

import torch
from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.unit_graph import module_of


@frozen(eq=False)
class WeightNorm(Probe):
    """L2 norm of the trained parameters, one over all tensors of a module.

    Noisy deviations are counted; the frozen heads of an injection are not.

    Attributes:
        when: At which updates.
    """

    name = "weight_norm"
    when: Schedule = Every(1_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """By module and in total."""
        norms: dict[str, list[Tensor]] = {}
        for name, parameter in subject.model.named_parameters():
            if parameter.requires_grad:
                norm = parameter.detach().norm()
                norms.setdefault(module_of(name), []).append(norm)
                norms.setdefault("total", []).append(norm)
        return {key: torch.stack(parts).norm() for key, parts in norms.items()}
