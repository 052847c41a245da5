"""The SAC agent."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import define, field
from torch import Tensor

from plastic.agents.actor_critic.agent import ActorCritic
from plastic.agents.actor_critic.networks import RELU_GAIN
from plastic.agents.sac import squashed
from plastic.agents.sac.losses import ActorLoss, CriticLoss, Temperature, TemperatureLoss
from plastic.agents.sac.presets import DEFAULTS, PRESETS, TASKS
from plastic.core.layers import FanInUniform, Initialiser, Orthogonal
from plastic.core.learning.learner import Learner
from plastic.core.validators import between


@define(eq=False)
class SAC(ActorCritic):
    """Soft actor-critic (Haarnoja et al., 2018, arXiv:1812.05905), from states and, as DrQ, from pixels.

    Learners: the `critic`, twin critics that own the encoder; the `actor`, a squashed Gaussian that reads the
    features of the critic's encoder and sends no gradient back; the `temperature`. Each update goes through
    them in this order: critic, target and encoder copy, actor, temperature. Episodes that a time limit ends
    bootstrap.

    From pixels it is DrQ (Yarats et al., 2021, arXiv:2004.13649) as in the experiments of Nikishin et al. (2022,
    arXiv:2205.07802) and Lee et al. (2023, arXiv:2306.10711, table 5).

    Attributes:
        hidden: Width of the two hidden layers of each head.
        encoder: Of images: `drq`, four convolutions at stride 2, or those of `drqv2`; states have none.
        n_step: Rewards in a target.
        discount: Per agent step.
        batch_size: Transitions of an update.
        replay_ratio: Updates per agent step, below 1 too.
        replay_capacity: Agent steps kept.
        learning_starts: Agent steps with uniform actions; the first update follows the last of them.
        learning_rate: Adam's, of all three learners.
        target_rate: How far the target critics move after each update.
        initialisation: Of the heads: `orthogonal` with ReLU's gain as in the papers' code, or PyTorch's own
            (`torch`).
        initial_temperature: At the start, and after a reset.
        target_entropy: What the temperature aims at, per dimension of the action.
        augmentation: Whether images are shifted at random.
        shift: Largest random shift in pixels.
        probe_batch: Transitions that probes look at.
    """

    name = "sac"
    presets = PRESETS
    defaults = DEFAULTS
    tasks = TASKS
    actions = "continuous"
    environment = "dm_control/cheetah-run-v0"
    learns = ("critic", "actor", "temperature")
    scalars = frozenset({"temperature"})

    initialisation: Literal["orthogonal", "torch"] = "orthogonal"
    initial_temperature: float = field(default=1.0, validator=between(0, above=True))
    target_entropy: float = -0.5

    _critic_loss: CriticLoss = field(init=False)
    _actor_loss: ActorLoss = field(init=False)

    @property
    def _initialiser(self) -> Initialiser:
        return Orthogonal(RELU_GAIN) if self.initialisation == "orthogonal" else FanInUniform()

    def _outputs(self, actions: int) -> int:
        return 2 * actions

    def _learners(self) -> Mapping[str, Learner]:
        learners: dict[str, Learner] = {}

        def model(name: str) -> Callable[[], Any]:
            return lambda: learners[name].model

        self._critic_loss = CriticLoss(
            self._replay, self.shift, self.probe_batch, self.knobs, model("actor"), model("temperature")
        )
        learners["critic"] = self._critic(self._critic_loss)
        self._actor_loss = ActorLoss(
            self._critic_loss, model("critic"), lambda: learners["critic"].copies["actor_encoder"], model("temperature")
        )
        learners["actor"] = self._learner("actor", self._actor_network, self._actor_loss)
        entropy = self.target_entropy * self._actions.dimensions
        learners["temperature"] = self._learner(
            "temperature",
            lambda: Temperature(self.initial_temperature),
            TemperatureLoss(self._actor_loss, model("actor"), entropy),
        )
        return learners

    def learn(self) -> None:
        """Critic, actor and temperature, each from what the one before it has seen."""
        self.learners["critic"].learn(self._batch())
        self._actor_loss.log_probability = None
        self.learners["actor"].learn(self._critic_loss.seen)
        self.learners["temperature"].learn(self._actor_loss.log_probability)

    def _explore(self, outputs: Tensor, noise: Tensor) -> Tensor:
        return squashed.sample(outputs, noise)[0]

    def _exploit(self, outputs: Tensor) -> Tensor:
        return squashed.mode(outputs)
