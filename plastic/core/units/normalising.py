"""Putting norms before activations."""

from collections.abc import Iterable

from torch import nn

from plastic.core.layers import NormAxes, norm_for
from plastic.core.modules import put
from plastic.core.units.unit_graph import Units


def normalise(model: nn.Module, bare: Iterable[Units], axes: NormAxes, *, affine: bool) -> None:
    """Put a norm before the activation of each of these units."""
    for units in bare:
        activation = model.get_submodule(units.activation)
        norm = norm_for(model.get_submodule(units.layer), axes, affine=affine)
        put(model, units.activation, nn.Sequential(norm, activation))
