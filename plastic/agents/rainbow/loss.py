"""Rainbow's loss: cross-entropy to the projected distribution of an n-step, double-DQN target."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from plastic.agents.augmentation import augment, to_float
from plastic.agents.rainbow.c51 import cross_entropy, expected, project
from plastic.agents.replay import Batch, Replay
from plastic.core.learning.learner import Knobs
from plastic.core.objective import Objective


@frozen(eq=False)
class RainbowLoss(Objective):
    """C51 (Bellemare et al., 2017, arXiv:1707.06887) with double Q-learning (van Hasselt et al., 2016).

    The target is a distribution over `support`: the target network's at the next action, which the
    online network picks on the same noise as it has in the loss.
    """

    replay: Replay
    support: Tensor  # [atoms]
    double: bool
    shift: int  # pixels
    intensity: float
    probe_batch: int
    knobs: Knobs

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Observation and next observation, each with draws of its own."""
        convert: Callable[[Tensor], Tensor]
        if self.knobs.get("augmentation"):

            def convert(pixels: Tensor) -> Tensor:
                return augment(pixels, generator, pad=self.shift, scale=self.intensity, channels_last=True)

        else:
            convert = _plain
        return batch._replace(observation=convert(batch.observation), next_observation=convert(batch.next_observation))

    def target(self, model: nn.Module, copies: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Projected distributions [B, atoms]."""
        following = F.softmax(copies["target"](batch.next_observation), dim=2)
        chooser = F.softmax(model(batch.next_observation), dim=2) if self.double else following
        action = (chooser @ self.support).argmax(1)
        chosen = following.take_along_dim(action[:, None, None], 1).squeeze(1)
        return project(chosen, batch.returns, batch.discount, self.support)

    def losses(self, model: nn.Module, batch: Batch, target: Tensor) -> Tensor:
        """Cross-entropies [B]."""
        logits = model(batch.observation).take_along_dim(batch.action[:, None, None], 1).squeeze(1)
        return cross_entropy(target, F.log_softmax(logits, dim=1))

    def weights(self, batch: Batch) -> Tensor:
        """Importance weights [B] of prioritised replay."""
        return batch.weight

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """The network reads observations."""
        return (batch.observation,)

    def policy(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Actions [B] of the highest expected return."""
        return self._returns(model, *inputs).argmax(1)

    def values(self, model: nn.Module, batch: Batch, target: Tensor) -> tuple[Tensor, Tensor]:
        """Expected returns [B] of the actions taken, and of the target distributions."""
        taken = self._returns(model, batch.observation).take_along_dim(batch.action[:, None], 1).squeeze(1)
        return taken, expected(target, self.support)

    def _returns(self, model: nn.Module, observation: Tensor) -> Tensor:
        return expected(F.softmax(model(observation), dim=2), self.support)  # [B, actions]

    def sample(self, generator: torch.Generator) -> Batch:
        """`probe_batch` transitions drawn uniformly, not augmented."""
        batch: Batch = self.replay.sample_uniformly(self.probe_batch, generator)
        return batch._replace(observation=_plain(batch.observation), next_observation=_plain(batch.next_observation))


def _plain(pixels: Tensor) -> Tensor:
    return to_float(pixels, channels_last=True)
