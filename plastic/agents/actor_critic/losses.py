"""What the losses of all agents with twin critics have in common."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from attrs import define, field
from torch import Tensor, nn

from plastic.agents.actor_critic.batches import Drawn, Seen, drawn
from plastic.agents.replay import Batch, Replay
from plastic.core.learning.learner import Knobs
from plastic.core.objective import Objective

Network = Callable[[], Any]  # of another learner, as it is by now


@define(eq=False)
class TwinLoss(Objective):
    """(Q1 - y)^2 + (Q2 - y)^2 with y = returns + discount * worth(next observation)."""

    replay: Replay
    shift: int  # pixels
    probe_batch: int
    knobs: Knobs
    actor: Network
    seen: Drawn | None = field(default=None, init=False)  # the batch of the last update, for the actor
    value: Tensor | None = field(default=None, init=False)

    @abstractmethod
    def worth(self, copies: Mapping[str, nn.Module], batch: Drawn) -> Tensor:
        """What the next observations are worth to the target critics: [B]."""

    def augment(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """Images shifted, the noise of the next actions drawn."""
        self.seen = drawn(batch, generator, self.shift if self.knobs.get("augmentation") else 0)
        return self.seen

    def target(self, model: nn.Module, copies: Mapping[str, nn.Module], batch: Drawn) -> Tensor:
        """y [B]."""
        return torch.addcmul(batch.returns, batch.discount, self.worth(copies, batch))

    def losses(self, model: nn.Module, batch: Drawn, target: Tensor) -> Tensor:
        """Summed over the two critics: [B]."""
        values: Tensor = model(batch.observation, batch.action)
        self.value = values.detach().mean()
        error = values - target[:, None]
        return (error * error).sum(1)  # which is differentiated in fewer operations than a square

    def notes(self) -> Mapping[str, Tensor]:
        """The mean action value."""
        return {} if self.value is None else {"value": self.value}

    def inputs(self, batch: Drawn) -> tuple[Tensor, ...]:
        """Critics read observations and actions."""
        return batch.observation, batch.action

    def values(self, model: nn.Module, batch: Drawn, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the two critics [B, 2] predict, and y [B]."""
        return model(batch.observation, batch.action), target

    def sample(self, generator: torch.Generator) -> Drawn:
        """`probe_batch` transitions drawn uniformly, not augmented."""
        return drawn(self.replay.sample_uniformly(self.probe_batch, generator), generator, pad=0)


@define(eq=False)
class PolicyLoss(Objective):
    """Of an actor that climbs the critics' values; these are the critics just updated."""

    twin_loss: TwinLoss
    critic: Network
    encoder: Network  # of the critic, as the actor reads it

    def augment(self, batch: Drawn, generator: torch.Generator) -> Seen:
        """The features, which no gradient of the actor goes back through, and the noise of the actions."""
        return Seen(
            self.encoder()(batch.observation),
            torch.randn(batch.action.shape, generator=generator, device=batch.action.device),
        )

    def inputs(self, batch: Seen) -> tuple[Tensor, ...]:
        """The actor reads features."""
        return (batch.features,)

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> Seen:
        """As many transitions as the critics' probes look at, not augmented."""
        return self.augment(self.twin_loss.sample(generator), generator)

    def least(self, features: Tensor, action: Tensor) -> Tensor:
        """The lesser of the two critics' values [B]."""
        values: Tensor = self.critic().values(features, action)
        return values.amin(1)
