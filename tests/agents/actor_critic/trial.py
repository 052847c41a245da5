"""Small agents of continuous actions fed by hand, from states and from pixels."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plastic.agents.actor_critic.agent import ActorCritic
from plastic.agents.actor_critic.batches import Drawn
from plastic.agents.drqv2.drqv2 import DrQv2
from plastic.agents.replay import Batch
from plastic.agents.sac.sac import SAC
from plastic.core.agent import Site
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.schedule import Clock, Counts
from plastic.testing.fed import Fed

UPDATES = 12  # of a whole trial
WARM = 40  # agent steps; the first update follows the last of them
STEPS = WARM + UPDATES + 2
ACTIONS = 2
STATE = 5  # numbers of an observation
SIDE = 16  # pixels; one place of 256 channels is left behind DrQ's convolutions, one of 32 behind DrQ-v2's
LOW, HIGH = (-2.0, -1.0), (1.0, 3.0)  # of the environment's actions
SMALL: Mapping[str, Any] = {
    "hidden": 8,
    "batch_size": 6,
    "replay_ratio": 1.0,
    "replay_capacity": 100,
    "learning_starts": WARM,
    "learning_rate": 3e-3,
    "target_rate": 0.1,
    "shift": 2,
    "probe_batch": 8,
}


@cache
def _drawn(pixels: bool) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    """What is seen after each step, what is seen at the start of an episode there, and rewards."""
    random = np.random.default_rng(0)
    rewards = random.normal(size=STEPS)
    if pixels:
        images = random.integers(0, 256, (2, STEPS + 1, 1, SIDE, SIDE), np.uint8)
        return images[0], images[1], rewards
    states = random.normal(size=(2, STEPS + 1, STATE)).astype(np.float32)
    return states[0], states[1], rewards


def site(pixels: bool, plugins: Mapping[str, Sequence[Plugin]] | None = None, **changes: Any) -> Site:
    """Where a trial's agent works; pixels are two grey pictures, the first one standing for that before it."""
    spaces = gymnasium.spaces
    images, states = spaces.Box(0, 255, (2, SIDE, SIDE), np.uint8), spaces.Box(-np.inf, np.inf, (STATE,), np.float32)
    parts: dict[str, Any] = {
        "observation_space": images if pixels else states,
        "action_space": spaces.Box(np.array(LOW, np.float32), np.array(HIGH, np.float32)),
        "frame_stack": 2 if pixels else 1,
        "frame_pad": "first",
        "plugins": {name: [] for name in ("critic", "actor", "temperature")} | dict(plugins or {}),
        "clock": Clock(total=Counts(updates=UPDATES, agent_steps=WARM + UPDATES, frames=WARM + UPDATES)),
        "seed": 0,
        "device": torch.device("cpu"),
    }
    return Site(**{**parts, **changes})


class Trial(Fed[ActorCritic]):
    """A run without its loop; `changes` are of `SMALL`, and every 13 steps hold a terminal and a time limit."""

    terminal = 7

    def __init__(
        self,
        agent: type[ActorCritic] = SAC,
        *,
        pixels: bool = False,
        plugins: Mapping[str, Sequence[Plugin]] | None = None,
        seed: int = 0,
        **changes: Any,
    ) -> None:
        begun = agent(**{**SMALL, **changes})
        place = site(pixels, plugins, seed=seed)
        begun.begin(place)
        self._seen, self._seen_first, self._rewards = _drawn(pixels)
        super().__init__(begun, place.clock)

    def _first(self, step: int) -> NDArray[Any]:
        frame = self._seen_first[step]
        return frame if frame.ndim == 1 else np.concatenate([frame, frame])

    def _after(self, step: int) -> NDArray[Any]:
        frame = self._seen[step]
        return frame if frame.ndim == 1 else np.concatenate([self.observation[1:], frame])

    def _reward(self, step: int) -> float:
        return float(self._rewards[step])

    @property
    def critic(self) -> Learner:
        return self.agent.learners["critic"]

    @property
    def actor(self) -> Learner:
        return self.agent.learners["actor"]

    @property
    def temperature(self) -> Learner:
        return self.agent.learners["temperature"]

    @property
    def alpha(self) -> float:
        """The temperature."""
        return float(self.temperature.model().detach())

    def warm_up(self) -> "Trial":
        """Fill the replay, to the step that the first update follows."""
        return self.begin(WARM)

    def run(self, until: int = UPDATES) -> "Trial":
        """On to that many updates, an agent step after each."""
        return self.train(until)

    def batch(self, size: int, seed: int = 0) -> Batch:
        """So many transitions of the replay."""
        loss: Any = self.critic.objective
        batch: Batch = loss.replay.sample(size, 1.0, torch.Generator().manual_seed(seed))
        return batch

    def drawn(self, size: int, seed: int = 0) -> Drawn:
        """So many transitions as the losses read them."""
        drawn: Drawn = self.critic.objective.augment(self.batch(size, seed), torch.Generator().manual_seed(seed))
        return drawn


def disturb(trial: Trial) -> Trial:
    """Give all networks and their copies weights of their own, as if they had learnt something."""
    stream = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for learner in trial.agent.learners.values():
            for model in (learner.model, *learner.copies.values()):
                for parameter in model.parameters():
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=stream))
    return trial


def state_of(trial: Trial) -> dict[str, Any]:
    """All that further training depends on, by name, and torch's own stream."""
    return {
        "agent": trial.agent.state_dict(),
        "torch": torch.get_rng_state(),
        **{name: learner.state_dict() for name, learner in trial.agent.learners.items()},
    }


def weights(trial: Trial) -> dict[str, Tensor]:
    """Every parameter of every network and copy by name, copied."""
    return {
        f"{name}.{which}.{path}": parameter.detach().clone()
        for name, learner in trial.agent.learners.items()
        for which, model in (("model", learner.model), *learner.copies.items())
        for path, parameter in model.named_parameters()
    }


AGENTS: Mapping[str, type[ActorCritic]] = {"sac": SAC, "drqv2": DrQv2}
