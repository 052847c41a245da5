"""The learning rate of an optimizer: a number, or a tensor that the device reads, as recorded updates and GPUs want."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def read_from_device(optimizer: Optimizer, device: torch.device) -> None:
    """What changes from step to step is read from the device, wherever the optimizer can do so.

    That is the learning rate and, on a GPU, the count of steps. Groups of optimizers that cannot keep their number,
    which is then part of what is recorded.
    """
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = device.type == "cuda"
        if group.get("fused") or group.get("capturable"):
            precision = torch.float32 if device.type == "cuda" else torch.float64  # as the kernels read it
            group["lr"] = torch.as_tensor(group["lr"], dtype=precision).to(device, copy=True)


def load(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Take up a state, whose optimizer may have read elsewhere; this one goes on reading where it does."""
    taken: dict[str, Any] = deepcopy(dict(state))  # an optimizer would keep the very tensors
    for group, own in zip(taken["param_groups"], optimizer.param_groups, strict=True):
        rate = float(group["lr"])
        group["lr"] = torch.full_like(own["lr"], rate) if isinstance(own["lr"], Tensor) else rate
        if "capturable" in own:
            group["capturable"] = own["capturable"]
    optimizer.load_state_dict(taken)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """The learning rate of every group, wherever it is read from."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def rates_on_host(optimizer: Optimizer) -> tuple[float, ...]:
    """Those that a recorded step would keep."""
    return tuple(group["lr"] for group in optimizer.param_groups if not isinstance(group["lr"], Tensor))
