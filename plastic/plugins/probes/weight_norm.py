"""Norm of the weights."""

from collections.abc import Mapping

from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.pooling import by_module, joint_norm


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
        trained = ((name, p.detach()) for name, p in subject.model.named_parameters() if p.requires_grad)
        return by_module(((name, weights.norm()) for name, weights in trained), joint_norm)
