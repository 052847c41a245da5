"""Share of saturated units."""

from collections.abc import Iterator, Mapping

from attrs import frozen
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.activations import activations
from plastic.core.units.pooling import by_module, counted, share
from plastic.core.units.unit_graph import trainable, unit_graph


@frozen(eq=False)
class SaturatedUnits(Probe):
    """Share of entries at the flat ends of tanh and sigmoid: |a| > 0.99, or a < 0.01 or a > 0.99.

    There next to no gradient passes, as behind a ReLU that is off. Entries of all samples and layers of a module are
    pooled. The bounds are those of Plasticine. Other activations are left out, and a network that has neither tanh
    nor sigmoid behind a hidden layer is refused.

    Attributes:
        when: At which updates.
    """

    name = "saturated_units"
    when: Schedule = Every(1_000)

    def start(self, model: nn.Module) -> None:
        """Refuse a network without such units."""
        kinds = [model.get_submodule(u.activation) for u in unit_graph(model) if trainable(model, u)]
        if not any(isinstance(kind, nn.Tanh | nn.Sigmoid) for kind in kinds):
            raise NothingToActOn("no hidden layer ends in a tanh or a sigmoid; active_units counts those behind a ReLU")

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """By module and in total."""
        return by_module(((layer, counted(saturated)) for layer, saturated in _saturated(subject)), share)


def _saturated(subject: Subject) -> Iterator[tuple[str, Tensor]]:
    for units, values in activations(subject.model, subject.inputs).items():
        match subject.model.get_submodule(units.activation):
            case nn.Tanh():
                yield units.layer, values.abs() > 0.99
            case nn.Sigmoid():
                yield units.layer, (values - 0.5).abs() > 0.49
