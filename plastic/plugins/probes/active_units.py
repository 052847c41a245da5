"""Fraction of active units."""

from collections.abc import Iterator, Mapping

from attrs import frozen
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.layers import can_be_off
from plastic.core.pooling import by_module, counted, share
from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.selection import selects
from plastic.core.subject import Subject
from plastic.core.unit_graph import activations, unit_graph


@frozen(eq=False)
class ActiveUnits(Probe):
    """Share of strictly positive entries behind the activations (Ma et al., 2024, arXiv:2310.07418, FAU).

    Entries of all samples and layers of a module are pooled, so large feature maps weigh most; a
    convolution's entries are its channels' pixels. Behind CReLU it is 0.5 by construction.
    `alive/...` is another number: the share of units (channels of convolutions) that are positive
    for at least one sample; its complement are the dead units of other papers. The units of all
    members of an ensemble count. Layers before an activation that is never off (a tanh, a sigmoid, a softplus) are
    left out; a network that has no others is refused.

    Attributes:
        when: At which updates.
    """

    name = "active_units"
    when: Schedule = Every(1_000)

    def start(self, model: nn.Module) -> None:
        """Refuse a network in which no unit is ever off."""
        if not can_be_counted(model, "whole"):
            raise NothingToActOn("active_units: no hidden layer has an activation that can be off; leave it out")

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """By module and in total."""
        active, alive = [], []
        for layer, positive in _positive(subject):
            active.append((layer, counted(positive)))
            alive.append((layer, counted(positive.transpose(0, 1).flatten(1).any(1))))
        return by_module(active, share) | {f"alive/{key}": living for key, living in by_module(alive, share).items()}


def can_be_counted(model: nn.Module, layers: str) -> bool:
    """Whether there is a hidden layer among the selected ones whose activation can be off."""
    return any(
        selects(layers, units.layer) and can_be_off(model.get_submodule(units.activation))
        for units in unit_graph(model)
    )


def active_fraction(subject: Subject, layers: str) -> Tensor:
    """The fraction of active units of the selected layers together.

    Raises:
        NothingToActOn: If none of them is hidden and has an activation that can be off.
    """
    active = [counted(positive) for layer, positive in _positive(subject) if selects(layers, layer)]
    if not active:
        raise NothingToActOn(f"no hidden layer whose units can be off matches layers={layers}")
    return share(active)


def _positive(subject: Subject) -> Iterator[tuple[str, Tensor]]:
    for units, values in activations(subject.model, subject.inputs).items():
        if can_be_off(subject.model.get_submodule(units.activation)):
            yield units.layer, values > 0
