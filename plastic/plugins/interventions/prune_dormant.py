"""Pruning of dormant units."""

from collections.abc import Collection, Iterator
from typing import Literal

import torch
from attrs import define, field
from torch import Tensor, nn

from plastic.core.edits import Edit, Overwrite
from plastic.core.errors import NothingToActOn
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import UnitMask, members, unit_axis, width
from plastic.core.modules import put
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.activations import activations
from plastic.core.units.selection import selects
from plastic.core.units.unit_numbers import drawn_anew, layout, refitted
from plastic.core.units.wiring import hidden
from plastic.core.validators import between


@define(eq=False)
class PruneDormant(PlasticityIntervention):
    """Cut units out that never fire (Sokar et al., 2023, arXiv:2302.12902: it should change nothing).

    A unit that gives exactly 0 for the whole batch, at `checks` checks, is cut: what its activation reads is 0 from
    then on, in the network and in its copies. It stays so whatever becomes of its weights: a reset draws them
    anew and the unit stays cut. Layers behind whose activation a 0 does not stay 0 (sigmoid) are left out, since
    none of their units is ever dormant in this sense.

    Attributes:
        checks: How many.
        dormant: Whether these are `in_a_row`, or it must have been so at every check of the run, `always`: then a
            unit that has fired once is never cut.
        layers: Which layers' units, by the layer's path.
        when: The checks.
    """

    name = "prune_dormant"
    changes = frozenset({"structure", "parameters", "copies"})
    checks: int = field(default=2, validator=between(1))
    dormant: Literal["in_a_row", "always"] = "in_a_row"
    layers: str = "whole"
    when: Schedule = Every(1_000)
    watched: str = field(default="", init=False)  # layer:units ..., whose the numbers below are
    silent: Tensor | None = field(default=None, init=False)  # [units], checks in a row at which it was
    seen: Tensor | None = field(default=None, init=False)  # [units], checks since its layer was drawn

    def build(self, model: nn.Module) -> nn.Module:
        """A mask before each activation."""
        silent = [units for units in hidden(model, self.layers) if _silent_at_0(model, units.layer, units.activation)]
        if not silent:
            raise NothingToActOn(
                f"behind the activations of layers={self.layers} no unit can be dormant; choose others"
            )
        for units in silent:
            mask = UnitMask(model.get_submodule(units.layer))
            put(model, units.activation, nn.Sequential(mask, model.get_submodule(units.activation)))
        return model

    def renewed(self, names: Collection[str]) -> None:
        """The units of a layer that was drawn anew have not been watched yet."""
        for (units,) in drawn_anew(self.watched, names):
            for numbers in (self.silent, self.seen):
                assert numbers is not None  # both are made together
                numbers[units] = 0

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """Masks without the units that have been dormant for long enough."""
        model = subject.model
        masks: dict[str, str] = {}
        idle: dict[str, Tensor] = {}
        for units, values in activations(model, subject.inputs).items():
            path = _mask_before(model, units.activation)
            if path is not None and selects(self.layers, units.layer):
                layer = model.get_submodule(units.layer)
                zero = (values == 0).transpose(0, 1).flatten(1).all(1)
                masks[units.layer] = path
                # with CReLU a unit has two columns: [members * 2 * units]
                idle[units.layer] = zero.view(members(layer), -1, width(layer)[1]).all(1).flatten()
        if not idle:  # all of them are frozen by now
            return
        watched = layout({layer: (zero.numel(),) for layer, zero in idle.items()})
        if watched != self.watched:
            device = next(iter(idle.values())).device
            self.silent, self.seen = (
                refitted(numbers, 0, self.watched, watched, device) for numbers in (self.silent, self.seen)
            )
            self.watched = watched
        assert self.silent is not None
        assert self.seen is not None
        now = torch.cat(list(idle.values()))
        self.seen += 1
        self.silent.add_(1).mul_(now)
        cut = self.silent >= self.checks
        if self.dormant == "always":
            cut &= self.silent == self.seen
        for path, out in zip(masks.values(), cut.split([zero.numel() for zero in idle.values()]), strict=True):
            kept = model.get_buffer(f"{path}.kept")
            if (out & (kept > 0)).any():
                yield Overwrite(f"{path}.kept", torch.zeros_like(kept), where=out)


def _silent_at_0(model: nn.Module, layer: str, activation: str) -> bool:
    units, axis = width(model.get_submodule(layer))[1], unit_axis(model.get_submodule(layer))
    shape = [1] * max(3, axis + 1)  # [B, members, units] of an ensemble, [B, units, ...] elsewhere
    shape[axis] = units
    with torch.no_grad():
        return not model.get_submodule(activation)(torch.zeros(shape)).any()


def _mask_before(model: nn.Module, activation: str) -> str | None:
    """The path of the mask that was put before an activation, which others may have wrapped since."""
    path = activation
    while path:
        path = path.rpartition(".")[0]
        parts = model.get_submodule(path)
        if isinstance(parts, nn.Sequential) and len(parts) and isinstance(parts[0], UnitMask):
            return f"{path}.0" if path else "0"
    return None
