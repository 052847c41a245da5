"""The Rainbow agent."""

from collections.abc import Hashable
from functools import partial
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray
from torch import Tensor, nn

from plastic.agents.augmentation import to_float
from plastic.agents.encoders import features_of
from plastic.agents.off_policy import OffPolicy
from plastic.agents.rainbow import networks
from plastic.agents.rainbow.c51 import atoms, expected
from plastic.agents.rainbow.loss import RainbowLoss
from plastic.agents.rainbow.presets import DEFAULTS, PRESETS
from plastic.core.agent import Act, Site
from plastic.core.errors import UsageError
from plastic.core.evaluating import evaluating
from plastic.core.learning.adam import Adam
from plastic.core.modifier import MakeOptimizer
from plastic.core.recipes.inert import only_for, unless
from plastic.core.validators import between

_positive = between(0, above=True)
_share = between(0, 1)
_count = between(1)


@define(eq=False)
class Rainbow(OffPolicy):
    """Rainbow (Hessel et al., 2018, arXiv:1710.02298) as data-efficient DrQ-Rainbow on Atari-100k.

    Values and rules are those of PLASTIC (Lee et al., 2023, arXiv:2306.10711, table 4) and, where its text
    leaves them out, of its released code.

    Attributes:
        encoder: `nature`, or the two large convolutions of `data_efficient`; vectors have an own one.
        hidden: Width of the hidden layers of the head, and of the encoder of vectors.
        noisy: Whether the head explores by noisy layers.
        noisy_sigma: Their sigma_0.
        dueling: Whether the head has two streams.
        double: Whether the online network picks the next action.
        atoms: Of the return distribution.
        v_min: Lowest atom.
        v_max: Highest atom.
        n_step: Rewards in a target.
        discount: Per agent step.
        batch_size: Transitions of an update.
        replay_ratio: Updates per agent step, below 1 too.
        replay_capacity: Agent steps kept.
        learning_starts: Agent steps with random actions; the first update follows the last of them.
        priority_exponent: 0 is uniform replay.
        priority_weight: Of the importance weights at first; it rises to 1 over the run.
        learning_rate: Adam's. 1e-4 in the paper's table, 1.414e-4 in its code.
        adam_eps: 1.5e-4 in every code; the paper's table has a typo.
        max_grad_norm: The gradient is clipped to this norm.
        target_rate: How far the target network moves at a time; 1 copies.
        target_period: How many updates apart.
        acting: Which network acts in training and evaluation.
        epsilon: Share of random actions in training after the start.
        epsilon_evaluation: Share of random actions in evaluation.
        augmentation: Whether images are augmented.
        shift: Largest random shift in pixels.
        intensity: Scale of the random intensity.
        probe_batch: Observations that probes look at.
    """

    name = "rainbow"
    presets = PRESETS
    defaults = DEFAULTS
    actions = "discrete"
    environment = "ALE/Pong-v5"
    learns = ("rainbow",)

    encoder: networks.Encoder = field(default="nature", metadata=only_for("image"))
    hidden: int = field(default=512, validator=_count)
    noisy: bool = True
    noisy_sigma: float = field(default=0.5, validator=between(0), metadata=unless(noisy=False))
    dueling: bool = True
    double: bool = True
    atoms: int = field(default=51, validator=between(2))
    v_min: float = -10.0
    v_max: float = 10.0
    n_step: int = field(default=10, validator=_count)
    batch_size: int = field(default=32, validator=_count)
    replay_ratio: float = field(default=2.0, validator=_positive)
    replay_capacity: int = field(default=100_000, validator=_count)
    learning_starts: int = field(default=2_000, validator=_count)
    priority_exponent: float = field(default=0.5, validator=between(0))
    priority_weight: float = field(default=0.4, validator=_share, metadata=unless(priority_exponent=0.0))
    learning_rate: float = field(default=1e-4, validator=between(0))
    adam_eps: float = field(default=1.5e-4, validator=_positive)
    max_grad_norm: float = field(default=10.0, validator=_positive)
    target_rate: float = field(default=0.01, validator=between(0, 1, above=True))
    target_period: int = field(default=1, validator=_count)
    acting: Literal["target", "online"] = "target"
    epsilon: float = field(default=0.0, validator=_share)
    epsilon_evaluation: float = field(default=0.001, validator=_share)
    intensity: float = field(
        default=0.05, validator=between(0), metadata={**only_for("image"), **unless(augmentation=False)}
    )

    _support: Tensor = field(init=False)
    _beta: Tensor = field(init=False)  # exponent of the importance weights at this update

    def begin(self, site: Site) -> None:
        """See `Agent.begin`."""
        if not isinstance(site.action_space, gymnasium.spaces.Discrete):
            raise UsageError(
                f"rainbow needs discrete actions; this environment has {site.action_space}: sac takes continuous ones"
            )
        if site.action_space.start:
            raise UsageError(f"rainbow needs actions counted from 0; this environment has {site.action_space}")
        self._settle(site, priority_exponent=self.priority_exponent)
        self._support = atoms(self.v_min, self.v_max, self.atoms).to(site.device)
        self._beta = torch.zeros((), dtype=torch.float64, device=site.device)
        learner = self._learner(
            "rainbow",
            lambda: self._network(site.observation_space.shape, self._actions),
            RainbowLoss(
                self._replay, self._support, self.double, self.shift, self.intensity, self.probe_batch, self.knobs
            ),
            self.max_grad_norm,
        )
        learner.follow("target", rate=self.target_rate, period=self.target_period)
        learner.draw_noise()
        self.learners = {"rainbow": learner}

    def _optimizer(self) -> MakeOptimizer:
        return partial(Adam, lr=self.learning_rate, eps=self.adam_eps)

    def _network(self, shape: tuple[int, ...], actions: int) -> nn.Module:
        if self._images:
            encoder = networks.image_encoder(self.encoder, shape[0])
        else:
            encoder = networks.vector_encoder(shape[0], self.hidden)
        linear = networks.noisy(self.noisy_sigma) if self.noisy else nn.Linear
        features = features_of(encoder, shape)
        head = networks.Head(features, self.hidden, actions, self.atoms, linear, dueling=self.dueling)
        scale = 2**-0.5 if self.dueling else 1.0
        # convolutions on a CPU are faster in this layout; the values are the same
        network: nn.Module = networks.Network(encoder, head, scale).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def act(self, observation: NDArray[Any]) -> int:
        """Random to the end of `learning_starts`, then greedy on the noise of the last update."""
        starting = self._site.clock.now.agent_steps < self.learning_starts
        if starting or (self.epsilon > 0 and self._chance(self._exploration) < self.epsilon):
            return self._any_action(self._exploration)
        kept = torch.from_numpy(observation[None])
        return int(self.on_device("act", partial(self._greedy, self._model(self.acting)), kept))

    def observe(self, action: Any, reward: float, observation: NDArray[Any], terminated: bool, truncated: bool) -> None:
        """See `Agent.observe`."""
        self._replay.add(action, reward, observation, terminated, truncated)

    def prepare(self) -> Hashable:
        """See `Agent.prepare`; importance weights count for more and more."""
        clock = self._site.clock
        passed = min(1.0, clock.now.updates / max(1, clock.total.updates))
        self._beta.fill_(self.priority_weight + (1 - self.priority_weight) * passed)
        return super().prepare()

    def learn(self) -> None:
        """Draw a batch by priority, take a step, write the new priorities."""
        batch = self._replay.sample(self.batch_size, self._beta, self._batches)
        losses = self.learners["rainbow"].learn(batch)
        self._replay.set_priorities(batch.index, losses)

    def policy(self, generator: torch.Generator) -> Act:
        """Greedy at the means of the noisy layers, but for a share of `epsilon_evaluation`."""

        def act(observations: NDArray[Any]) -> NDArray[Any]:
            model = self._model(self.learners["rainbow"].evaluation or self.acting)
            with evaluating(model):
                actions = self._greedy(model, torch.from_numpy(observations).to(self._site.device)).cpu().numpy()
            chances = torch.rand(len(observations), generator=generator)
            anything = torch.randint(self._actions, (len(observations),), generator=generator)
            return np.where(chances < self.epsilon_evaluation, anything, actions)

        return act

    def _model(self, name: str) -> nn.Module:
        learner = self.learners["rainbow"]
        return learner.model if name == "online" else learner.copies[name]

    @torch.no_grad()
    def _greedy(self, model: nn.Module, observations: Tensor) -> Tensor:
        inputs = to_float(observations.to(self._dtype), channels_last=True)
        return expected(torch.softmax(model(inputs), dim=2), self._support).argmax(1)

    @property
    def _actions(self) -> int:
        return int(self._site.action_space.n)  # type: ignore[attr-defined]

    def _any_action(self, generator: torch.Generator) -> int:
        return int(torch.randint(self._actions, (), generator=generator))

    def _chance(self, generator: torch.Generator) -> float:
        return float(torch.rand((), generator=generator))
