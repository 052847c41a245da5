"""Which entries of which parameters make a unit, and which read it.

What makes a unit is said by its layer (`plastic.core.layers.rows`). What reads it is seen, not derived: the model
runs once with labels in the place of the values behind each activation, and every layer downstream is looked at
for the columns in which labels arrive. So flattened images, concatenations, rotations and slices are right by
themselves; where a label arrives changed, or mixed with another, there is an error.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.layers import Entries, columns, members, norm_rows, rows, stored, width
from plastic.core.units.dye import Dye
from plastic.core.units.selection import hidden_layers
from plastic.core.units.unit_graph import Units, trainable
from plastic.core.units.wires import Wires


def hidden(model: nn.Module, layers: str = "whole") -> list[Units]:
    """The selected layers whose units can be exchanged: those that still learn and that another layer reads.

    Raises:
        NothingToActOn: If there are none.
    """
    return hidden_layers(
        model,
        layers,
        what="hidden layer that learns",
        fits=lambda units: trainable(model, units) and bool(units.downstream),
    )


def wiring(model: nn.Module, inputs: tuple[Tensor, ...], layers: str = "whole") -> list[Wires]:
    """Where the units of the selected hidden layers are, in the order they run.

    Raises:
        NothingToActOn: If no such layer is there.
        UsageError: If units cannot be followed to what reads them, or leave the network as they are.
    """
    found = hidden(model, layers)
    dye = Dye(model, found)
    dye.run(inputs)
    modules = dict(model.named_modules())
    wires = []
    for place, units in enumerate(found):
        if dye.leaves(place):
            raise UsageError(
                f"the units of {units.layer!r} are an output of the network, which would change with them; "
                "leave that layer out with layers="
            )
        outgoing: list[tuple[str, Entries]] = []
        for path, samples in dye.read.items():
            for sample in samples:
                outgoing += (
                    (path, entries) for entries in _read(modules[path], path, dye.numbers(place, sample, path))
                )
        kept = _distinct(outgoing)
        wires.append(
            Wires(
                units,
                dye.unit_of(place),
                _incoming(modules, units),
                outgoing=tuple(entries for _, entries in kept),
                read_by=tuple(path for path, _ in kept),
            )
        )
    return wires


def _incoming(modules: Mapping[str, nn.Module], units: Units) -> tuple[Entries, ...]:
    layer = modules[units.layer]
    own = [(units.layer, entries) for entries in rows(layer)]
    for path in units.norms:
        own += [(path, entries) for entries in norm_rows(modules[path], members(layer), width(layer)[1])]
    return tuple(held for path, entries in own for held in stored(modules[path], path, entries))


def _read(layer: nn.Module, path: str, numbers: Tensor) -> list[Entries]:
    if not (numbers >= 0).any():
        return []
    return [held for entries in columns(layer, numbers) for held in stored(layer, path, entries)]


def _distinct(found: Sequence[tuple[str, Entries]]) -> list[tuple[str, Entries]]:
    # a layer that is called twice on the same units reads them with the same entries
    kept: list[tuple[str, Entries]] = []
    for path, entries in found:
        if not any(entries.name == other.name and torch.equal(entries.owner, other.owner) for _, other in kept):
            kept.append((path, entries))
    return kept
