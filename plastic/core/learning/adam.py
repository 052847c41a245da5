"""Adam (Kingma and Ba, 2015, arXiv:1412.6980) with little around it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT


class Adam(torch.optim.Adam):
    """torch.optim.Adam, fused: the same operations on the same state, asked for at less cost.

    PyTorch's step sorts all tensors by device and dtype and looks through its options each time, which takes longer
    than the arithmetic where networks are small. Here all parameters of a group are on one device and of one dtype,
    and there is neither AMSGrad nor weight decay; `l2` is for that.

    Args:
        params: Dense ones, or groups of them.
        lr: Learning rate; a tensor is read by the device alone.
        betas: Decay of the two moments.
        eps: Added to the root of the second moment.
    """

    def __init__(
        self, params: ParamsT, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            stepped = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not stepped:
                continue
            states = [self.state[parameter] or self._begin(parameter) for parameter in stepped]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)
            torch._fused_adam_(
                stepped,
                [parameter.grad for parameter in stepped],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=0.0,
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
        return loss

    def _begin(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state
