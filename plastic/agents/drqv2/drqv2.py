"""The DrQ-v2 agent."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from attrs import define, field
from torch import Tensor

from plastic.agents.actor_critic.agent import ActorCritic
from plastic.agents.actor_critic.networks import Encoder
from plastic.agents.drqv2.losses import ActorLoss, CriticLoss
from plastic.agents.drqv2.presets import DEFAULTS, PRESETS, TASKS
from plastic.core.layers import Initialiser, Orthogonal
from plastic.core.learning.learner import Learner
from plastic.core.recipes.inert import only_for
from plastic.core.validators import between


@define(eq=False)
class DrQv2(ActorCritic):
    """DrQ-v2 (Yarats et al., 2022, arXiv:2107.09645), as the experiments of Ma et al. (2024, arXiv:2310.07418) use it.

    A deterministic actor that explores by noise of a scheduled size, n-step returns, twin critics. Learners:
    the `critic`, which owns the encoder, and the `actor`, which reads its features and sends no gradient back.

    One departure: the actor learns from the features of the encoder as the critic's step has left it, as in
    SAC; the original takes those of just before.

    Attributes:
        hidden: Width of the two hidden layers of each head.
        encoder: Of images: `drqv2`, four convolutions of 32 channels, or those of `drq`; states have none.
        n_step: Rewards in a target.
        discount: Per agent step.
        batch_size: Transitions of an update.
        replay_ratio: Updates per agent step, below 1 too.
        replay_capacity: Agent steps kept.
        learning_starts: Agent steps with uniform actions; the first update follows the last of them.
        learning_rate: Adam's, of both learners.
        target_rate: How far the target critics move after each update.
        deviation: Of the noise of the actions at first.
        deviation_end: Of the noise at the end of `deviation_steps`, and from then on.
        deviation_steps: Agent steps in which the deviation sinks linearly.
        clip: Largest noise in the losses; that of acting is not clipped.
        augmentation: Whether images are shifted at random.
        shift: Largest random shift in pixels.
        probe_batch: Transitions that probes look at.
    """

    name = "drqv2"
    presets = PRESETS
    defaults = DEFAULTS
    tasks = TASKS
    actions = "continuous"
    environment = "dm_control/cheetah-run-v0"
    learns = ("critic", "actor")

    hidden: int = field(default=1024, validator=between(1))
    encoder: Encoder = field(default="drqv2", metadata=only_for("image"))
    n_step: int = field(default=3, validator=between(1))
    batch_size: int = field(default=256, validator=between(1))
    replay_ratio: float = field(default=0.5, validator=between(0, above=True))
    learning_starts: int = field(default=2_000, validator=between(1))
    learning_rate: float = field(default=1e-4, validator=between(0))
    target_rate: float = field(default=0.01, validator=between(0, 1, above=True))
    deviation: float = field(default=1.0, validator=between(0))
    deviation_end: float = field(default=0.1, validator=between(0))
    deviation_steps: int = field(default=500_000, validator=between(1))
    clip: float = field(default=0.3, validator=between(0))

    _critic_loss: CriticLoss = field(init=False)
    _deviation: Tensor = field(init=False)  # of the noise in the losses, at this update

    @property
    def _initialiser(self) -> Initialiser:
        return Orthogonal()

    def _outputs(self, actions: int) -> int:
        return actions

    def _scheduled(self) -> float:
        passed = min(1.0, self._site.clock.now.agent_steps / self.deviation_steps)
        return self.deviation + (self.deviation_end - self.deviation) * passed

    def _learners(self) -> Mapping[str, Learner]:
        learners: dict[str, Learner] = {}
        self._deviation = torch.full((), self.deviation, device=self._site.device)

        def model(name: str) -> Callable[[], Any]:
            return lambda: learners[name].model

        self._critic_loss = CriticLoss(
            self._replay, self.shift, self.probe_batch, self.knobs, model("actor"), self._deviation, self.clip
        )
        learners["critic"] = self._critic(self._critic_loss)
        actor_loss = ActorLoss(
            self._critic_loss,
            model("critic"),
            lambda: learners["critic"].copies["actor_encoder"],
            self._deviation,
            self.clip,
        )
        learners["actor"] = self._learner("actor", self._actor_network, actor_loss)
        return learners

    def prepare(self) -> Hashable:
        """See `Agent.prepare`; the noise becomes what its schedule says."""
        self._deviation.fill_(self._scheduled())
        return super().prepare()

    def learn(self) -> None:
        """Critic and actor, from one batch."""
        self.learners["critic"].learn(self._batch())
        self.learners["actor"].learn(self._critic_loss.seen)

    def _exploration_noise(self) -> Tensor:
        return super()._exploration_noise() * self._scheduled()

    def _explore(self, outputs: Tensor, noise: Tensor) -> Tensor:
        return (torch.tanh(outputs) + noise).clamp_(-1, 1)

    def _exploit(self, outputs: Tensor) -> Tensor:
        return torch.tanh(outputs)
