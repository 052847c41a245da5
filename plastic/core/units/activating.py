"""Putting other activations in the place of ReLU."""

from typing import Literal

from torch import nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers import expansion, resized, width
from plastic.core.modules import put
from plastic.core.units.selection import hidden_layers
from plastic.core.units.unit_graph import Units

Style = Literal["output", "input"]


def rectified(model: nn.Module, layers: str, name: str) -> list[Units]:
    """The units of the selected hidden layers whose activation is ReLU.

    Raises:
        NothingToActOn: If there are none; it begins with `name`, that of a plugin.
    """
    selected = hidden_layers(model, layers, name)
    found = [units for units in selected if isinstance(model.get_submodule(units.activation), nn.ReLU)]
    if not found:
        kinds = sorted({type(model.get_submodule(units.activation)).__name__ for units in selected})
        raise NothingToActOn(
            f"{name} replaces ReLU, and the hidden layers of layers={layers} have {' and '.join(kinds)}; choose others"
        )
    return found


def widen(model: nn.Module, units: Units, activation: nn.Module, style: Style, name: str) -> None:
    """Put an activation in place that gives several numbers a unit, and mend the widths.

    Args:
        model: Is changed in place.
        units: Whose activation it becomes.
        activation: Of an `expansion` above 1.
        style: `output` makes the layer itself narrower, so that what follows keeps its size; `input` makes what
            follows wider.
        name: Of the plugin, for errors.

    Raises:
        UsageError: If the layer cannot be divided, or its norm fixes its width.
    """
    times = expansion(activation)
    if style == "output":
        _narrow(model, units, times, name)
    else:
        for path in units.readers:
            reader = model.get_submodule(path)
            inputs, outputs = width(reader)
            put(model, path, resized(reader, times * inputs, outputs))
    put(model, units.activation, activation)


def _narrow(model: nn.Module, units: Units, times: int, name: str) -> None:
    if units.norms:  # of the network itself: those of plugins are made afterwards
        raise UsageError(f"{name}: the norm {units.norms[0]} fixes the width of {units.layer}; use style=input")
    layer = model.get_submodule(units.layer)
    inputs, outputs = width(layer)
    if outputs % times:
        cut = "halved" if times == 2 else f"divided by {times}"
        raise UsageError(f"{name}: {units.layer} has {outputs} units, which cannot be {cut}; use style=input")
    put(model, units.layer, resized(layer, inputs, outputs // times))
