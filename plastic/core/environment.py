"""Families of environments: where tasks come from and how their scores are normalised."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium

Env = gymnasium.Env[Any, Any]


class EnvFamily(ABC):
    """A frozen attrs class whose fields are the options of its protocol, set by `--set NAME=VALUE`.

    What `make` returns is one Gymnasium environment, of which the run asks three things more:

    * `reset(seed=s)` followed by the same actions gives the same episode, bit for bit; that is how
      a checkpoint rebuilds it. After a `step` whose info holds `life_lost: True` the game goes on:
      the next `reset()` carries no seed and continues it.
    * `step` returns the reward to learn from; where that is not the score (clipped), the info holds
      the raw one as `raw_reward`.
    * An attribute `frame_stack`: how many frames of equal shape the first axis of an observation
      holds, newest last (1 where it is missing). What stands there for frames before the start of an
      episode: `frame_pad`, "zeros" where it is missing, or "first", the first frame again.
      And `frame_skip`: how many frames an agent step is (1 where it is missing).
    """

    name: ClassVar[str]
    eval_episodes: ClassVar[int] = 10  # games of an evaluation, as the family's papers report it

    @abstractmethod
    def tasks(self) -> Sequence[str]:
        """The Gymnasium ids of this family, for lists and for the nearest name."""

    @abstractmethod
    def find(self, task: str) -> str | None:
        """The full id `task` stands for (`pong` is `ALE/Pong-v5`), or None if it is not one of ours."""

    @abstractmethod
    def make(self, task: str, *, evaluation: bool = False) -> Env:
        """A new environment; `evaluation` gives the rules under which scores are reported."""

    def normalise(self, task: str, score: float) -> float | None:
        """The score on the family's common scale, or None if it has none."""
        return None

    def about(self) -> Mapping[str, str]:
        """What else a run's record should say of how observations are made (a renderer), by what it is."""
        return {}

    def references(self, task: str) -> Mapping[str, float]:
        """Scores that the common scale is measured by, by whose they are (`random`, `human`)."""
        return {}
