"""Units begin anew: what makes them is drawn again, and nothing reads them at first."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from attrs import field, frozen
from torch import Tensor, nn

from plastic.core.edits import Copies, Edit, Keep, Overwrite
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.plugin import example
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.wires import Wires
from plastic.core.units.wiring import hidden, wiring
from plastic.core.validators import between


@frozen(eq=False)
class Recycling(PlasticityIntervention):
    """Units with a score of at most `tau` are drawn anew; a plugin says what the score is.

    Attributes:
        tau: The threshold.
        layers: Which layers' units, by the layer's path.
        bias: The unit's own bias becomes 0, or is drawn anew.
        moments: What becomes of the optimizer's moments of the entries written.
        step: What becomes of the step counts of the parameters in which they lie. PyTorch counts per tensor, so
            clearing them lengthens or shortens the next steps of all its entries.
        copies: Which lagged copies are written, too.
        when: At which updates.
    """

    changes = frozenset({"parameters", "copies", "optimizer state"})
    tau: float = field(default=0.1, validator=between(0), metadata=example(0.9))
    layers: str = "whole"
    bias: Literal["zero", "fresh"] = "zero"
    moments: Literal["clear", "keep"] = "clear"
    step: Literal["clear", "keep"] = "keep"
    copies: Literal["none", "all"] = "none"
    when: Schedule = Every(1_000)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Refuse layers that are not there now, not hours later."""
        hidden(model, self.layers)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """New values for the entries of the units that are below the threshold, of all layers together."""
        found = wiring(subject.model, subject.inputs, self.layers)
        chosen = dict(zip(found, self._below(subject, found), strict=True))
        if any(bool(units.any()) for units in chosen.values()):
            yield from recycled(
                subject.model,
                subject.fresh(),
                chosen,
                bias=self.bias,
                copies=self.copies,
                moments=self.moments,
                step=self.step,
            )

    @abstractmethod
    def _below(self, subject: Subject, found: Sequence[Wires]) -> list[Tensor]:
        """Which units of each of these layers are below the threshold: [units] of booleans, a tensor a layer."""


def recycled(
    model: nn.Module,
    fresh: nn.Module,
    chosen: Mapping[Wires, Tensor],
    *,
    bias: Literal["zero", "fresh"] = "zero",
    copies: Copies = "none",
    moments: Keep = "clear",
    step: Keep = "keep",
) -> Iterator[Overwrite]:
    """One edit for each parameter in which entries of the chosen units lie.

    Incoming entries get the values of `fresh`, outgoing ones become 0, and so do those that are both. The
    biases of the layers that read them stay.

    Args:
        model: The network.
        fresh: The same, newly initialised.
        chosen: Which units of each layer, [units] of booleans.
        bias: What the units' own biases become; deviations of noise and norms always start as at first.
        copies: The lagged copies that are written, too.
        moments: What becomes of the optimizer's moments of the entries written.
        step: What becomes of the step counts of the parameters in which they lie.
    """
    drawn: dict[str, Tensor] = {}
    emptied: dict[str, Tensor] = {}
    for wires, units in chosen.items():
        for entries, mask in wires.into(units):
            of = emptied if entries.role == "bias" and bias == "zero" else drawn
            _join(of, model, entries.name, mask)
        for entries, mask in wires.out_of(units):
            _join(emptied, model, entries.name, mask)
    for name in dict.fromkeys((*drawn, *emptied)):
        parameter = model.get_parameter(name)
        nothing = torch.zeros_like(parameter, dtype=torch.bool)
        new, empty = drawn.get(name, nothing), emptied.get(name, nothing)
        where = new | empty
        if where.any():
            value = fresh.get_parameter(name).detach().masked_fill(empty, 0)
            yield Overwrite(name, value, where=where, copies=copies, moments=moments, step=step)


def _join(masks: dict[str, Tensor], model: nn.Module, name: str, mask: Tensor) -> None:
    mask = mask.expand(model.get_parameter(name).shape)
    masks[name] = masks[name] | mask if name in masks else mask
