"""What agents with an actor and twin critics do alike: hyperparameters, networks, acting."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray
from torch import Tensor, nn

from plastic.agents.actions import Actions
from plastic.agents.actor_critic import networks
from plastic.agents.actor_critic.networks import Actor, Critic
from plastic.agents.augmentation import to_float
from plastic.agents.encoders import features_of
from plastic.agents.off_policy import OffPolicy
from plastic.core.agent import Act, Site
from plastic.core.evaluating import evaluating
from plastic.core.layers import Initialiser
from plastic.core.learning.learner import Learner
from plastic.core.objective import Objective
from plastic.core.recipes.inert import only_for
from plastic.core.validators import between


@define(eq=False)
class ActorCritic(OffPolicy):
    """An agent of continuous actions: a learner of twin critics, which owns the encoder, and one of an actor."""

    hidden: int = field(default=256, validator=between(1))
    encoder: networks.Encoder = field(default="drq", metadata=only_for("image"))
    target_rate: float = field(default=0.005, validator=between(0, 1, above=True))

    _actions: Actions = field(init=False)
    _features: int = field(init=False)  # that the encoder gives

    @property
    @abstractmethod
    def _initialiser(self) -> Initialiser:
        """Of the heads."""

    @abstractmethod
    def _outputs(self, actions: int) -> int:
        """How many numbers the actor's head gives."""

    @abstractmethod
    def _learners(self) -> Mapping[str, Learner]:
        """In the order they update."""

    @abstractmethod
    def _explore(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Actions [N, A] in training, from the actor's outputs and the exploration noise [N, A]."""

    @abstractmethod
    def _exploit(self, outputs: Tensor) -> Tensor:
        """Actions [N, A] in evaluation."""

    def begin(self, site: Site) -> None:
        """See `Agent.begin`."""
        self._actions = Actions.of(site.action_space, self.name)
        self._settle(site, action_shape=(self._actions.dimensions,), action_dtype=torch.float32)
        self.learners = self._learners()

    def _critic(self, objective: Objective) -> Learner:
        """The critics' learner, with its target and the copy of the encoder that the actor reads."""
        learner = self._learner("critic", self._critic_network, objective)
        learner.follow("target", rate=self.target_rate)
        encoder = learner.follow("actor_encoder", rate=1, path="encoder")
        # as the plugins have made it: with CReLU an encoder may give twice as many
        self._features = features_of(encoder, self._site.observation_space.shape)
        return learner

    def _critic_network(self) -> Critic:
        shape = self._site.observation_space.shape
        encoder: nn.Module = networks.image_encoder(self.encoder, shape[0]) if self._images else nn.Identity()
        trunk, latent = self._trunk(features_of(encoder, shape))
        inputs = latent + self._actions.dimensions
        return Critic(encoder, trunk, networks.critic_head(inputs, self.hidden, self._initialiser))

    def _actor_network(self) -> Actor:
        trunk, latent = self._trunk(self._features)
        outputs = self._outputs(self._actions.dimensions)
        return Actor(trunk, networks.actor_head(latent, self.hidden, outputs, self._initialiser))

    def _trunk(self, features: int) -> tuple[nn.Module, int]:
        """What stands before a head, and how many numbers come out of it."""
        if self._images:
            return networks.trunk(self.encoder, features), networks.LATENT
        return nn.Identity(), features

    # ---------------------------------------------------------------- acting

    def act(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """A uniform action until learning starts, then one of the actor's."""
        if self._site.clock.now.agent_steps < self.learning_starts:
            action = torch.rand(1, self._actions.dimensions, generator=self._exploration) * 2 - 1
        else:
            kept = torch.from_numpy(observation[None])
            action = self.on_device("act", self._chosen, kept, self._exploration_noise()).cpu()
        return self._actions.to_env(action[0].numpy())

    def _exploration_noise(self) -> Tensor:
        """N(0, 1) [1, A], of the action to choose."""
        return torch.randn(1, self._actions.dimensions, generator=self._exploration)

    def _chosen(self, observations: Tensor, noise: Tensor) -> Tensor:
        return self._explore(self._outputs_for(observations, evaluation=False), noise)

    def observe(self, action: Any, reward: float, observation: NDArray[Any], terminated: bool, truncated: bool) -> None:
        """See `Agent.observe`."""
        self._replay.add(self._actions.from_env(action), reward, observation, terminated, truncated)

    def policy(self, generator: torch.Generator) -> Act:
        """Without exploration; nothing is drawn."""

        def act(observations: NDArray[Any]) -> NDArray[Any]:
            given = torch.from_numpy(observations).to(self._site.device)
            actions = self._exploit(self._outputs_for(given, evaluation=True))
            return self._actions.to_env(actions.cpu().numpy())

        return act

    @torch.no_grad()
    def _outputs_for(self, observations: Tensor, *, evaluation: bool) -> Tensor:
        actor, encoder = self._acting(evaluation)
        with evaluating(actor, encoder):
            outputs: Tensor = actor(encoder(to_float(observations.to(self._dtype), channels_last=True)))
        return outputs

    def _acting(self, evaluation: bool) -> tuple[nn.Module, nn.Module]:
        critic, actor = self.learners["critic"], self.learners["actor"]
        model, encoder = actor.model, critic.copies["actor_encoder"]
        if evaluation and actor.evaluation is not None:
            model = actor.copies[actor.evaluation]
        if evaluation and critic.evaluation is not None:
            encoder = critic.copies[critic.evaluation].get_submodule("encoder")
        return model, encoder

    def _batch(self) -> Any:
        return self._replay.sample(self.batch_size, 1.0, self._batches)
