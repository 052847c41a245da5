"""What a model's hidden layers give for some inputs: values behind activations, and features."""

from typing import Any

import torch
from torch import Tensor, nn

from plastic.core.layers import by_member, by_unit
from plastic.core.units.selection import module_of
from plastic.core.units.unit_graph import Units, trainable, unit_graph


@torch.no_grad()
def activations(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[Units, Tensor]:
    """The values [B, units, ...] behind the activation of every hidden layer that still learns.

    An ensemble's are [B, members * units], one member after the other; `by_member` takes them apart.
    """
    units = [found for found in unit_graph(model) if trainable(model, found)]
    values: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Tensor) -> None:
            values[path] = output

        return hook

    handles = [model.get_submodule(found.activation).register_forward_hook(keep(found.activation)) for found in units]
    try:
        model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {found: by_unit(model.get_submodule(found.layer), values[found.activation]) for found in units}


def features(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The features [B, width] of every part of the network, by its path.

    Those of the encoder are its last layer's, flattened; those of a head are what its output layers read. Each
    member of an ensemble has its own (`head.member0`).
    """
    hidden = {units.layer for units in unit_graph(model)}
    found: dict[str, Tensor] = {}
    for units, values in activations(model, inputs).items():
        if any(module_of(layer) == module_of(units.layer) and layer in hidden for layer in units.downstream):
            continue  # not the last of its module
        path = units.layer.rsplit(".", 1)[0]
        members = by_member(model.get_submodule(units.layer), values)
        for number, own in enumerate(members):
            found[path if len(members) == 1 else f"{path}.member{number}"] = own.flatten(1)
    return found
