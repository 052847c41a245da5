"""Distance of the weights from where they began."""

from collections.abc import Mapping

from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.pooling import by_module, joint_norm


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
        trained = {name: p.detach() for name, p in subject.model.named_parameters() if p.requires_grad}
        first = {name: initial.get_parameter(name).detach() for name in trained}
        distances = by_module(((name, (trained[name] - first[name]).norm()) for name in trained), joint_norm)
        sizes = by_module(((name, was.norm()) for name, was in first.items()), joint_norm)
        return distances | {f"relative/{key}": distances[key] / size for key, size in sizes.items()}
