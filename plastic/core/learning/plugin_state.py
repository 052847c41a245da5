"""The state of a plugin: what a checkpoint holds of it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import attrs
import torch
from torch import Tensor

from plastic.core.plugin import Plugin


def plugin_state(plugin: Plugin) -> dict[str, Any]:
    """The fields of a plugin that are its state (`init=False`), tensors or plain values."""
    kind: type[Any] = type(plugin)  # of which the type checker does not know that attrs made it
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(kind)
    return {f.name: getattr(plugin, f.name) for f in fields if not f.init and f.metadata.get("state", True)}


def load_plugin_state(plugin: Plugin, state: Mapping[str, Any], device: torch.device) -> None:
    """Put a plugin's state back, tensors on `device` and in place where they exist."""
    for name, value in state.items():
        current = getattr(plugin, name)
        if isinstance(value, Tensor) and isinstance(current, Tensor) and current.shape == value.shape:
            current.copy_(value)
        else:
            setattr(plugin, name, value.to(device, copy=True) if isinstance(value, Tensor) else deepcopy(value))
