"""Copies of a model that lag behind it: target networks, averages of weights."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from plastic.core.layers.noisy import noises


class LaggedCopy:
    """A copy of the part of a model at `path`, which follows it or is left to whoever asked for it.

    Parameters move by the fraction `rate` of the way every `period` updates (1 copies them hard, 0
    leaves them alone); buffers are copied. Noise is the exception: each copy has its own sample.
    Frozen parameters follow like any other.
    """

    def __init__(self, model: nn.Module, *, rate: float, period: int, path: str = "") -> None:
        self.module = deepcopy(model.get_submodule(path)).requires_grad_(False)
        self.rate = rate
        self.period = period
        self.path = path
        self.index(model)

    def index(self, model: nn.Module) -> None:
        """Look up anew what follows what, after the structure changed."""
        source = model.get_submodule(self.path)
        self.module.requires_grad_(False)
        self._own = [parameter.detach() for parameter in self.module.parameters()]
        self._followed = [parameter.detach() for parameter in source.parameters()]
        if self.rate == 0:  # whoever writes it knows of the trained parameters alone
            frozen = zip(self._own, source.parameters(), strict=True)
            for own, parameter in frozen:
                if not parameter.requires_grad:
                    own.copy_(parameter.detach())
        self._own_buffers = _buffers(self.module)
        self._followed_buffers = _buffers(source)

    def name(self, path: str) -> str | None:
        """What the model's parameter or module at `path` is called in the copy; None if it is not in it."""
        if not self.path:
            return path
        if path == self.path:
            return ""
        return path.removeprefix(f"{self.path}.") if path.startswith(f"{self.path}.") else None

    def due(self, update: int) -> bool:
        """Whether its parameters move after the learner's `update`-th update (counted from 1)."""
        return self.rate > 0 and update % self.period == 0

    @torch.no_grad()
    def follow(self, *, due: bool) -> None:
        """After an update, in place: the buffers always, the parameters where they are due."""
        if self._own_buffers:
            torch._foreach_copy_(self._own_buffers, self._followed_buffers)
        if not due or not self._own:
            return
        if self.rate == 1:
            torch._foreach_copy_(self._own, self._followed)
        else:
            torch._foreach_lerp_(self._own, self._followed, self.rate)


def _buffers(module: nn.Module) -> list[Tensor]:
    noise = {id(buffer) for sample in noises(module) for buffer in sample.buffers()}
    return [buffer for buffer in module.buffers() if id(buffer) not in noise]
