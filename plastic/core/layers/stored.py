"""Entries by the names under which a model holds them."""

from collections.abc import Iterator

import torch
from attrs import evolve
from torch import nn
from torch.nn.utils import parametrize

from plastic.core.errors import UsageError
from plastic.core.layers.entries import Entries


def stored(module: nn.Module, path: str, entries: Entries) -> Iterator[Entries]:
    """The entries by the names of the model's parameters; of a parametrised weight, what it is computed from.

    Args:
        module: The layer or norm whose entries they are.
        path: Its path in the model.
        entries: Those of one parameter, by its name within the module.

    Raises:
        UsageError: If it is no parameter, and no parametrisation of PyTorch's gives it.
    """
    prefix = f"{path}." if path else ""
    shape = getattr(module, entries.name).shape
    originals = {entries.name: shape}
    if parametrize.is_parametrized(module, entries.name):
        computed_from = module.get_submodule(f"parametrizations.{entries.name}").named_parameters(recurse=False)
        originals = {f"parametrizations.{entries.name}.{name}": tensor.shape for name, tensor in computed_from}
    known = dict(module.named_parameters())
    found = [
        evolve(entries, name=prefix + name)
        for name, own in originals.items()
        if name in known and _broadcasts(entries.owner.shape, own)
    ]
    if not found:
        raise UsageError(f"{prefix}{entries.name} is computed in a way that nobody knows; register rows and columns")
    yield from found


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    try:
        return bool(torch.broadcast_shapes(shape, to) == to)
    except RuntimeError:
        return False
