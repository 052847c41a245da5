"""Gradient clipping."""

from typing import Literal

import torch
from attrs import define, field
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import Lag
from plastic.core.layers import members
from plastic.core.modifier import Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.plugin import LIVE, example
from plastic.core.units.selection import selects
from plastic.core.validators import between

_LIMITS = {"norm": 1.0, "value": 1.0, "adaptive": 0.01}
_TINY_NORM = 1e-6  # of a gradient, as in torch.nn.utils.clip_grad_norm_
_SMALL_WEIGHTS = 1e-3  # a unit at zero could never leave it (Brock et al., eq. 3)


@define(eq=False)
class ClipGradients(OptimizerModifier):
    """Clip the gradient by its norm (Pascanu et al., 2013, arXiv:1211.5063), by value, or by each unit's weights.

    By norm, all gradients are scaled so that one norm over them is at most `limit`; by value, each entry is cut
    to [-limit, limit]. Adaptive (Brock et al., 2021, arXiv:2102.06171, eq. 3), the gradient of each unit, a row of
    a matrix or a filter, is scaled so that its norm is at most `limit` times max(|w|, 1e-3), the unit's weights w;
    biases and scales are one vector a layer (and a member of an ensemble).

    It comes behind the agent's own clipping (`max_grad_norm`) and within all other modifiers: both of SAM's
    gradients are clipped, a coupled decay is not.

    Attributes:
        by: What is limited.
        limit: 1 by norm and by value if left out, which are ours; 0.01 adaptive, the paper's smallest, for batches
            of 4,096; it takes more for smaller ones, up to 0.16 for 256.
        layers: What is clipped, and counts in the norm. The paper's adaptive clipping leaves the output layers out:
            `not-head.*.2` on Rainbow, `not-head.4` on SAC.
    """

    name = "clip_gradients"
    changes = frozenset({"gradients"})
    stage = "clip"
    by: Literal["norm", "value", "adaptive"] = "norm"
    limit: float | None = field(default=None, validator=between(0, above=True), metadata=example(0.02))
    layers: str = "whole"
    _in_members: frozenset[str] = field(default=frozenset(), init=False, metadata=LIVE)  # parameters of ensembles
    _names: list[str] = field(factory=list, init=False, metadata=LIVE)

    def shown(self, model: nn.Module) -> None:
        """Find out which layers have members."""
        self._in_members = frozenset(
            f"{path}.{name}"
            for path, layer in model.named_modules()
            if members(layer) > 1
            for name, _ in layer.named_parameters(recurse=False)
        )

    def start(self, params: Parameters, lag: Lag) -> None:
        """Refuse layers in which nothing is trained."""
        self._names = [name for name in params if selects(self.layers, name)]
        if not self._names:
            raise NothingToActOn(f"clip_gradients: no trained parameter matches layers={self.layers}")

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        """The evaluation's gradients, clipped in their own memory."""
        losses, gradients = evaluate()
        self._clip([gradients[name] for name in self._names], params)
        return losses, gradients

    @torch.no_grad()
    def _clip(self, gradients: list[Tensor], params: Parameters) -> None:
        limit = _LIMITS[self.by] if self.limit is None else self.limit
        match self.by:
            case "norm":
                norm = torch.stack(torch._foreach_norm(gradients)).norm()
                torch._foreach_mul_(gradients, (limit / (norm + _TINY_NORM)).clamp(max=1.0))
            case "value":
                torch._foreach_clamp_min_(gradients, -limit)
                torch._foreach_clamp_max_(gradients, limit)
            case "adaptive":
                largest = torch.cat([self._norms(name, params[name].detach()).flatten() for name in self._names])
                norms = [self._norms(name, gradient) for name, gradient in zip(self._names, gradients, strict=True)]
                flat = torch.cat([norm.flatten() for norm in norms]).clamp_(min=_TINY_NORM)
                scales = (limit * largest.clamp_(min=_SMALL_WEIGHTS) / flat).clamp_(max=1.0)
                each = scales.split([norm.numel() for norm in norms])
                torch._foreach_mul_(gradients, [one.view_as(norm) for one, norm in zip(each, norms, strict=True)])

    def _norms(self, name: str, tensor: Tensor) -> Tensor:
        """Of each unit, in a shape that scales the tensor."""
        first = 2 if name in self._in_members else 1
        inputs = range(min(first, tensor.dim() - 1), tensor.dim())
        norms: Tensor = torch.linalg.vector_norm(tensor, dim=list(inputs), keepdim=True)
        return norms
