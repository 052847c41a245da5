"""What a learner minimises."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from plastic.core.plugin import Need


class Objective(ABC):
    """A loss per sample, in parts that an optimizer modifier may have redone or kept (SAM's passes)."""

    def augment(self, batch: Any, generator: torch.Generator) -> Any:
        """The batch as it is trained on; what is random here is drawn from `generator`."""
        return batch

    def target(self, model: nn.Module, copies: Mapping[str, nn.Module], batch: Any) -> Any:
        """What the loss regards as constant (the bootstrap target); called without gradients."""
        return None

    @abstractmethod
    def losses(self, model: nn.Module, batch: Any, target: Any) -> Tensor:
        """Losses [B], unweighted."""

    def weights(self, batch: Any) -> Tensor | None:
        """Importance weights [B] of the mean, or None for equal ones."""
        return None

    def notes(self) -> Mapping[str, Tensor]:
        """Scalars of the losses just evaluated, on the learner's device; those of an update's first go into its log."""
        return {}

    @abstractmethod
    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        """What the model is called with for an augmented batch."""

    def policy(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Greedy actions [B], or mean actions [B, A] of continuous ones; what learns no policy leaves this alone."""
        raise NotImplementedError(f"{type(self).__name__} offers no policy")

    def values(self, model: nn.Module, batch: Any, target: Any) -> tuple[Tensor, Tensor]:
        """Predicted returns [B] or [B, members], and their targets [B]; what predicts none leaves this alone."""
        raise NotImplementedError(f"{type(self).__name__} offers no values")

    def offers(self, what: Need) -> bool:
        """Whether this class says what its `policy`, its `values` or its `weights` are."""
        return getattr(type(self), what) is not getattr(Objective, what)

    @abstractmethod
    def sample(self, generator: torch.Generator) -> Any:
        """A batch to look at between updates: drawn uniformly, ready for `losses`, not augmented."""
