"""Fraction of active units."""

from collections.abc import Mapping

from attrs import frozen
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.active_fraction import active_units, can_be_counted
from plastic.core.units.pooling import by_module, counted, share


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
        for layer, positive in active_units(subject):
            active.append((layer, counted(positive)))
            alive.append((layer, counted(positive.transpose(0, 1).flatten(1).any(1))))
        return by_module(active, share) | {f"alive/{key}": living for key, living in by_module(alive, share).items()}
