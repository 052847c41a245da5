"""One update's losses and gradients: evaluated once, or as often as the modifiers in charge ask."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from attrs import define, field
from torch import Tensor, nn
from torch.func import functional_call

from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers.dropout import Dropout, masks
from plastic.core.layers.noisy import RANDOM, NoisyLinear, formed_once, silenced, statistics
from plastic.core.learning.mask_streams import MaskStreams
from plastic.core.modifier import Draw, Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.objective import Objective
from plastic.core.streams import seeded


class Loss(nn.Module):
    """The objective as a module that holds the model, so that it can be called with other weights."""

    def __init__(
        self,
        model: nn.Module,
        copies: Mapping[str, nn.Module],
        objective: Objective,
        penalties: Sequence[PlasticityIntervention],
    ) -> None:
        super().__init__()
        self.model = model
        self.copies = copies  # a plain mapping: copies are no part of what is differentiated
        self.objective = objective
        self.penalties = penalties
        self.statistics = {f"model.{name}": buffer for name, buffer in statistics(model).items()}
        self.noisy = [module for module in model.modules() if isinstance(module, NoisyLinear)]
        drawing = (module for network in (model, *copies.values()) for module in network.modules())
        # Dropout of torch's own: it draws from the global generator, which nobody touches for others
        self.draws = any(isinstance(module, RANDOM) and not isinstance(module, Dropout) for module in drawing)

    def forward(self, batch: Any, target: Any, want_target: bool) -> Any:
        """The bootstrap target, or the losses [B] and the scalar that is differentiated."""
        if want_target:
            return self.objective.target(self.model, self.copies, batch)
        losses = self.objective.losses(self.model, batch, target)
        weights = self.objective.weights(batch)
        scalar = (losses if weights is None else weights * losses).mean()
        for intervention in self.penalties:
            scalar = scalar + intervention.penalty(self.model, self.objective.inputs(batch))
        return losses, scalar


@define(eq=False)
class Evaluation:
    """The `Evaluate` of one update. The first call draws, and later ones keep what is not redrawn.

    Buffers that a forward pass advances (batch statistics) advance in the first call only. The masks of
    dropout are noise, too: those of the loss and those of the target are drawn from a stream each, which is begun
    again in every call until noise is redrawn. Without noise the evaluated model is at its means and drops
    nothing; its copies keep theirs.
    """

    loss: Loss
    params: Mapping[str, Tensor]
    batch: Any  # as it came from replay
    draw_noise: Callable[[], None]
    generator: torch.Generator  # of the augmentation
    masks: MaskStreams
    max_grad_norm: float | None = None
    norms: list[Tensor] = field(factory=list)  # of the gradients, before clipping, one a call
    notes: Mapping[str, Tensor] = field(factory=dict)  # the objective's, of the first call
    _augmented: Any = None
    _target: Any = None
    _calls: int = 0
    _draws: int = 0  # of noise

    def __call__(
        self, params: Parameters | None = None, redraw: frozenset[Draw] = frozenset(), noise: bool = True
    ) -> tuple[Tensor, Gradients]:
        """See `plastic.core.modifier.Evaluate`."""
        first = self._calls == 0
        self._calls += 1
        if first or "noise" in redraw:
            self.draw_noise()
            self._draws += 1
        if first or "augmentation" in redraw:
            with torch.no_grad(), self._drawing("augmentation"):
                self._augmented = self.loss.objective.augment(self.batch, self.generator)
        # parameters, so that the model looks to a penalty as it always does; in the memory of what was given
        at = self.params if params is None else {k: nn.Parameter(v.detach()) for k, v in params.items()}
        call = self._caller(at, moved=params is not None, first=first)
        with nullcontext() if noise else silenced(self.loss.model), self._forming_once():
            if first or "target" in redraw:
                with torch.no_grad(), self._drawing("target"):
                    self._target = call(self._augmented, None, True)
            with self._drawing("loss"):
                losses, scalar = call(self._augmented, self._target, False)
        if first:
            self.notes = self.loss.objective.notes()
        gradients = _owned(torch.autograd.grad(scalar, list(at.values()), materialize_grads=True))
        if self.max_grad_norm is not None:
            self._clip(gradients, self.max_grad_norm)
        return losses.detach(), dict(zip(at, gradients, strict=True))

    def _forming_once(self) -> AbstractContextManager[None]:
        return formed_once(self.loss.noisy) if self.loss.noisy else nullcontext()

    def _drawing(self, part: str) -> AbstractContextManager[None]:
        return self._drawing_globally(part) if self.loss.draws else masks(self.masks.of(part, self._draws))

    @contextmanager
    def _drawing_globally(self, part: str) -> Iterator[None]:
        with masks(self.masks.of(part, self._draws)), seeded(self.masks.seed_of(part, self._draws)):
            yield

    def _caller(self, params: Parameters, *, moved: bool, first: bool) -> Callable[..., Any]:
        statistics = self.loss.statistics
        if not moved and (first or not statistics):
            return self.loss
        tensors = {f"model.{name}": value for name, value in params.items()}
        if not first:
            tensors |= {name: buffer.clone() for name, buffer in statistics.items()}
        return lambda *arguments: functional_call(self.loss, tensors, arguments)

    @torch.no_grad()
    def _clip(self, gradients: tuple[Tensor, ...], limit: float) -> None:
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        self.norms.append(norm)
        torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))


def _owned(gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # Gradients are changed in place. Autograd may hand the same memory to two parameters (the gradient of
    # a sum, parts of that of a concatenation) and one number for a whole tensor (stride 0).
    storages = {gradient.untyped_storage().data_ptr() for gradient in gradients}
    if len(storages) == len(gradients) and not any(0 in gradient.stride() for gradient in gradients):
        return gradients
    return tuple(gradient.clone(memory_format=torch.contiguous_format) for gradient in gradients)


def nest(modifiers: Sequence[OptimizerModifier], evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
    """Losses and gradients with the modifiers around the evaluation, the last one outermost."""
    for modifier in modifiers:
        evaluate = _around(modifier, evaluate, params)
    return evaluate()


def _around(modifier: OptimizerModifier, inner: Evaluate, origin: Parameters) -> Evaluate:
    def outer(
        params: Parameters | None = None, redraw: frozenset[Draw] = frozenset(), noise: bool = True
    ) -> tuple[Tensor, Gradients]:
        here, audible = params, noise  # where the outer modifier evaluates holds for all calls of this one
        pending = redraw  # what it wants redrawn, this one's first call redraws

        def evaluate(
            params: Parameters | None = None, redraw: frozenset[Draw] = frozenset(), noise: bool = True
        ) -> tuple[Tensor, Gradients]:
            nonlocal pending
            redraw, pending = redraw | pending, frozenset()
            return inner(here if params is None else params, redraw, noise and audible)

        return modifier.gradients(evaluate, origin if params is None else params)

    return outer
