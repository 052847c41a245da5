"""Small environments, their family, and a registry that has them."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from plastic.agents import hooks as agents
from plastic.core.environment import Env, EnvFamily
from plastic.core.hookspecs import hookimpl
from plastic.core.recipes.registry import Registry
from plastic.core.validators import between
from plastic.plugins import hooks as plugins

TINY = {  # Rainbow for games of a few steps: an update takes a millisecond
    "hidden": 8,
    "atoms": 5,
    "batch_size": 4,
    "learning_starts": 10,
    "replay_capacity": 1_000,
    "n_step": 2,
    "eval_episodes": 2,
    "probe_batch": 16,
    "log_every": 10,
}


class Walk(gymnasium.Env[NDArray[np.float32], int]):
    """Left and right on a line, with slips; a life goes where the line ends, a game after `lives` of them.

    Rewards for learning are signs of the raw ones, as on Atari; an agent step is four frames.
    """

    frame_skip = 4

    def __init__(self, lives: int, limit: int = 40) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)  # type: ignore[assignment]
        self.lives = lives
        self.limit = limit
        self.place = self.left = self.steps = 0
        self.waiting = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        if not self.waiting:
            self.left, self.steps = self.lives, 0
        self.waiting = False
        self.place = int(self.np_random.integers(-1, 2))
        return self._seen(), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        assert not self.waiting, "a life was lost: reset first"
        slip = self.np_random.random() < 0.2
        self.place += 1 if (action == 1) != slip else -1
        self.steps += 1
        raw = 5.0 * self.place
        lost = abs(self.place) > 2
        self.left -= lost
        over = self.left == 0
        truncated = self.steps >= self.limit
        self.waiting = bool(lost and not over and not truncated)
        info = {"raw_reward": raw, "life_lost": self.waiting}
        return self._seen(), float(np.sign(raw)), bool(lost), truncated, info

    def _seen(self) -> NDArray[np.float32]:
        return np.array([self.place, self.left, self.np_random.random()], np.float32)


class Odd(gymnasium.Env[Any, Any]):
    """Spaces that Rainbow cannot work in."""

    def __init__(self, observations: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> None:
        self.observation_space, self.action_space = observations, actions


_VECTOR = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
ODD: dict[str, tuple[gymnasium.Space[Any], gymnasium.Space[Any]]] = {
    "Table-v0": (gymnasium.spaces.Discrete(4), gymnasium.spaces.Discrete(2)),
    "Torque-v0": (_VECTOR, _VECTOR),
    "Picture-v0": (gymnasium.spaces.Box(0, 255, (1, 36, 36), np.uint8), gymnasium.spaces.Discrete(2)),
}


@frozen
class Games(EnvFamily):
    """Walks, the cart pole, and what does not fit."""

    name = "games"
    eval_episodes = 3

    lives: int = field(default=2, validator=between(1))

    def tasks(self) -> Sequence[str]:
        return ["My/Walk-v0", "CartPole-v1", *ODD]

    def find(self, task: str) -> str | None:
        return "My/Walk-v0" if task == "walk" else task if task in self.tasks() else None

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        if task == "CartPole-v1":
            return gymnasium.make(task)
        return Odd(*ODD[task]) if task in ODD else Walk(self.lives + evaluation)

    def normalise(self, task: str, score: float) -> float | None:
        return score / 10 if task == "My/Walk-v0" else None


class Hooks:
    """What a package with these games would register."""

    @staticmethod
    @hookimpl
    def plastic_envs() -> list[type[EnvFamily]]:
        return [Games]


def registry() -> Registry:
    """The built-in plugins and agents, and these games."""
    known = Registry()
    known.add(plugins, "plastic-rl")
    known.add(agents, "plastic-rl")
    known.add(Hooks, "games")
    return known
