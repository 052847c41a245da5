"""Clearing what an optimizer remembers of a parameter."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


@torch.no_grad()
def clear_moments(optimizer: Optimizer, parameter: Tensor, *, where: Tensor | None = None) -> None:
    """Zero, in place, every state tensor of the parameter's shape, or its entries that `where` marks."""
    for key, value in _state(optimizer, parameter).items():
        if key != "step" and isinstance(value, Tensor) and value.shape == parameter.shape:
            if where is None:
                value.zero_()
            else:
                value.masked_fill_(where, 0)


@torch.no_grad()
def clear_step(optimizer: Optimizer, parameter: Tensor) -> None:
    """Put the optimizer's step count of one parameter back to 0, in place."""
    state = _state(optimizer, parameter)
    step = state.get("step")
    if isinstance(step, Tensor):
        step.zero_()
    elif step is not None:
        state["step"] = 0


def _state(optimizer: Optimizer, parameter: Tensor) -> dict[str, Any]:
    # get, not []: optimizer.state is a defaultdict, and indexing it would leave an empty entry behind
    state: dict[str, Any] = optimizer.state.get(parameter, {})
    return state
