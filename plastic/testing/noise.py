"""Environments of which there are only the spaces: a trial shows their agents random frames by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from attrs import frozen

from plastic.core.environment import Env, EnvFamily

SIDE = 36  # pixels of Rainbow's pictures, the smallest that its encoders read
FRAMES: Mapping[str, tuple[int, ...]] = {  # what one frame is, of two that are stacked
    "Noise/States-v0": (5,),
    "Noise/Pixels-v0": (1, 16, 16),
    "Noise/Buttons-v0": (1, SIDE, SIDE),
}


class Noise(gymnasium.Env[Any, Any]):
    """The spaces of a task, and how its frames are stacked; nobody plays it."""

    def __init__(self, task: str) -> None:
        shape = FRAMES[task]
        images = len(shape) > 1
        stacked = (2 * shape[0], *shape[1:])
        discrete = task == "Noise/Buttons-v0"
        self.frame_stack = 2
        self.frame_pad = "zeros" if discrete else "first"
        self.observation_space = (
            gymnasium.spaces.Box(0, 255, stacked, np.uint8)
            if images
            else gymnasium.spaces.Box(-np.inf, np.inf, stacked, np.float32)
        )
        self.action_space = gymnasium.spaces.Discrete(3) if discrete else gymnasium.spaces.Box(-2, 2, (2,), np.float32)


@frozen
class Noises(EnvFamily):
    """States and pixels with continuous actions, pixels with discrete ones."""

    name = "noises"

    def tasks(self) -> Sequence[str]:
        """See `EnvFamily.tasks`."""
        return list(FRAMES)

    def find(self, task: str) -> str | None:
        """See `EnvFamily.find`."""
        return task if task in FRAMES else None

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        """See `EnvFamily.make`."""
        return Noise(task)
