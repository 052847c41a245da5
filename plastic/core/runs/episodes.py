"""Episodes of one environment, each known by its seed and its actions, so that it can be rebuilt."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray

from plastic.core.environment import Env
from plastic.core.streams import derive


@frozen(eq=False)
class Step:
    """What came of one action."""

    observation: NDArray[Any]
    reward: float  # to learn from
    terminated: bool
    truncated: bool
    game_over: bool  # the episode whose score counts is over; a lost life ends an episode, not the game


class Episodes:
    """Plays `env` game by game, each from a seed of its own in the stream `label`."""

    def __init__(self, env: Env, seed: int, *label: str | int) -> None:
        self.env = env
        self._seed = seed
        self._label = label
        self._games = 0
        self._actions: list[Any] = []
        self._playing = False
        self.score = 0.0  # of the current game: raw rewards
        self.length = 0  # agent steps of the current game

    def begin(self) -> NDArray[Any]:
        """The first observation of the next episode: of a new game, or of the rest of this one."""
        if self._playing:
            observation, _ = self.env.reset()
            return _array(observation)
        self._games += 1
        self._actions, self._playing = [], True
        self.score, self.length = 0.0, 0
        observation, _ = self.env.reset(seed=derive(self._seed, *self._label, self._games) % 2**31)
        return _array(observation)

    def step(self, action: Any) -> Step:
        """Act."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._actions.append(action)
        self.score += float(info.get("raw_reward", reward))
        self.length += 1
        over = bool((terminated or truncated) and not info.get("life_lost", False))
        self._playing = not over
        return Step(_array(observation), float(reward), bool(terminated), bool(truncated), over)

    def state_dict(self) -> dict[str, Any]:
        """The current game by number and actions."""
        actions = torch.from_numpy(np.asarray(self._actions)) if self._actions else None
        return {"games": self._games, "actions": actions}

    def load_state_dict(self, state: Mapping[str, Any]) -> NDArray[Any]:
        """Play the saved game again up to where it was; the observation there."""
        self._games = state["games"] - 1
        self._playing = False
        observation = self.begin()
        actions = [] if state["actions"] is None else state["actions"].numpy()
        for action in actions:
            step = self.step(action if action.ndim else action.item())
            observation = self.begin() if step.terminated or step.truncated else step.observation
        return observation


def _array(observation: Any) -> NDArray[Any]:
    return np.asarray(observation)
