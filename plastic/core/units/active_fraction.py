"""The fraction of active units: which layers have any that can be off, and how many are on."""

from collections.abc import Iterator

from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.layers import can_be_off
from plastic.core.subject import Subject
from plastic.core.units.activations import activations
from plastic.core.units.pooling import counted, share
from plastic.core.units.selection import selects
from plastic.core.units.unit_graph import unit_graph


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
    active = [counted(positive) for layer, positive in active_units(subject) if selects(layers, layer)]
    if not active:
        raise NothingToActOn(f"no hidden layer whose units can be off matches layers={layers}")
    return share(active)


def active_units(subject: Subject) -> Iterator[tuple[str, Tensor]]:
    """Which values [B, units, ...] are above 0 behind the activation of each layer that learns and can be off."""
    for units, values in activations(subject.model, subject.inputs).items():
        if can_be_off(subject.model.get_submodule(units.activation)):
            yield units.layer, values > 0
