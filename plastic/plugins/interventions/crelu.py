"""CReLU in place of ReLU."""

from typing import Literal

from attrs import frozen
from torch import nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import CReLU, resized, unit_axis, width
from plastic.core.modules import put
from plastic.core.selection import selects
from plastic.core.unit_graph import Units, unit_graph


@frozen(eq=False)
class ConcatenatedReLU(PlasticityIntervention):
    """[ReLU(x), ReLU(-x)]: a unit that is off in one half is on in the other (Abbas et al., 2023, arXiv:2303.07507).

    Half of the entries behind it are active by construction; never compare them with ReLU's. Other
    activations than ReLU stay as they are.

    Attributes:
        layers: Which layers' activations, by the layer's path; PLASTIC has it in the head.
        style: What becomes of the doubled width: `output` halves the layer itself, so that what
            follows keeps its size; `input` doubles what follows.
    """

    name = "crelu"
    claims = frozenset({"activation"})
    changes = frozenset({"structure"})
    stage = "activation"
    layers: str = "whole"
    style: Literal["output", "input"] = "output"

    def build(self, model: nn.Module) -> nn.Module:
        """Replace each selected ReLU, and the layers whose width that changes."""
        selected = [units for units in unit_graph(model) if selects(self.layers, units.layer)]
        if not selected:
            raise NothingToActOn(f"crelu: no hidden layer matches layers={self.layers}")
        rectified = [units for units in selected if isinstance(model.get_submodule(units.activation), nn.ReLU)]
        if not rectified:
            kinds = sorted({type(model.get_submodule(units.activation)).__name__ for units in selected})
            raise NothingToActOn(
                f"crelu replaces ReLU, and the hidden layers of layers={self.layers} have {' and '.join(kinds)}; "
                "choose others"
            )
        for units in rectified:
            if self.style == "output":
                self._halve(model, units)
            else:
                self._double_readers(model, units)
            put(model, units.activation, CReLU(unit_axis(model.get_submodule(units.layer))))
        return model

    def _halve(self, model: nn.Module, units: Units) -> None:
        if units.norms:  # of the network itself: those of the layer_norm plugin are made afterwards
            raise UsageError(f"crelu: the norm {units.norms[0]} fixes the width of {units.layer}; use style=input")
        layer = model.get_submodule(units.layer)
        inputs, outputs = width(layer)
        if outputs % 2:
            raise UsageError(f"crelu: {units.layer} has {outputs} units, which cannot be halved; use style=input")
        put(model, units.layer, resized(layer, inputs, outputs // 2))

    def _double_readers(self, model: nn.Module, units: Units) -> None:
        for path in units.readers:
            reader = model.get_submodule(path)
            inputs, outputs = width(reader)
            put(model, path, resized(reader, 2 * inputs, outputs))
