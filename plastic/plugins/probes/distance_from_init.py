"""Distance of the weights from where they began."""

from collections.abc import Mapping

import torch
from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.unit_graph import module_of


@frozen(eq=False)
class DistanceFromInit(Probe):
    """L2 norm of the trained parameters less their first values, one over all tensors of a module.

    `relative/...` is over the norm of the first values: how far the weights went in units of their size. Nothing is
    stored: the network is built again from the run's seed. A head that was injected is compared with itself
    when it was new, and frozen heads are left out.

    Attributes:
        when: At which updates; each builds the network once.
    """

    name = "distance_from_init"
    when: Schedule = Every(1_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """By module and in total."""
        initial = subject.initial()
        moved: dict[str, list[Tensor]] = {}
        first: dict[str, list[Tensor]] = {}
        for name, parameter in subject.model.named_parameters():
            if parameter.requires_grad:
                was = initial.get_parameter(name).detach()
                for key in (module_of(name), "total"):
                    moved.setdefault(key, []).append((parameter.detach() - was).norm())
                    first.setdefault(key, []).append(was.norm())
        distances = {key: torch.stack(parts).norm() for key, parts in moved.items()}
        relative = {f"relative/{key}": distances[key] / torch.stack(parts).norm() for key, parts in first.items()}
        return distances | relative
