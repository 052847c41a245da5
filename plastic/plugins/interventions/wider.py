"""A wider network."""

from fractions import Fraction
from math import ceil

from attrs import field, frozen
from torch import nn

from plastic.core.errors import UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import resized, width
from plastic.core.modules import put
from plastic.core.units.selection import hidden_layers
from plastic.core.units.unit_graph import Units
from plastic.core.validators import between


@frozen(eq=False)
class Wider(PlasticityIntervention):
    """Hidden layers `factor` times as wide, newly initialised, and what reads them.

    The baseline of papers whose method adds parameters (Nikishin et al., 2023, arXiv:2305.15555). Widths are rounded
    up. A norm of the network's own behind a layer is made for its new width.

    Attributes:
        factor: Of the widths; 1 changes nothing.
        layers: Which hidden layers, by the layer's path; PLASTIC's code widens those of the head.
    """

    name = "wider"
    changes = frozenset({"structure"})
    stage = "activation"
    factor: float = field(default=2.0, validator=between(1))
    layers: str = "head"

    def build(self, model: nn.Module) -> nn.Module:
        """Replace each selected layer, its norms and its readers."""
        for units in hidden_layers(model, self.layers, self.name):
            self._widen(model, units)
        return model

    def _widen(self, model: nn.Module, units: Units) -> None:
        layer = model.get_submodule(units.layer)
        inputs, units_before = width(layer)
        units_now = ceil(Fraction(str(self.factor)) * units_before)  # exactly: 1.1 times 10 are 11
        for path in units.readers:
            reader = model.get_submodule(path)
            read, outputs = width(reader)
            if read % units_before:
                raise UsageError(
                    f"wider: {path} reads {read} numbers, which are no multiple of the {units_before} units of "
                    f"{units.layer}; choose other layers"
                )
            put(model, path, resized(reader, read // units_before * units_now, outputs))
        for path in units.norms:
            put(model, path, resized(model.get_submodule(path), units_before, units_now))
        put(model, units.layer, resized(layer, inputs, units_now))
