"""Units begin anew: what makes them is drawn again, and nothing reads them at first."""

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from plastic.core.edits import Copies, Keep, Overwrite
from plastic.core.wiring import Wires


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
