"""A small convolutional Rainbow on random frames, fed by hand, and how two of them are compared."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import gymnasium
import numpy as np
import torch

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.core.agent import Site
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.schedule import Clock, Counts
from plastic.testing.fed import Fed

UPDATES = 8  # of a whole trial
WARM = 24  # agent steps; the first update follows the last of them
ACTIONS = 3
SMALL: Mapping[str, Any] = {
    "encoder": "data_efficient",
    "hidden": 16,  # with fewer, all units of a stream may be off at once
    "atoms": 11,
    "v_min": -3.0,
    "v_max": 3.0,
    "n_step": 3,
    "batch_size": 6,
    "replay_ratio": 1.0,
    "replay_capacity": 28,  # so that it wraps
    "learning_starts": WARM,
    "learning_rate": 3e-3,
    "max_grad_norm": 0.5,  # so that it clips
    "target_rate": 0.1,
    "probe_batch": 8,
}


@cache
def _frames() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Random frames [steps, 36, 36] and rewards [steps]."""
    drawn = np.random.default_rng(0)
    steps = WARM + UPDATES + 2
    return drawn.integers(0, 256, (steps, 36, 36), np.uint8), drawn.normal(size=steps)


def observation(step: int, *, first: bool = False) -> np.ndarray[Any, Any]:
    """Two stacked frames [2, 36, 36]; zeros before an episode's start."""
    images, _ = _frames()
    return np.stack([np.zeros_like(images[step]) if first else images[step - 1], images[step]])


def site(plugins: Sequence[Plugin] = (), **changes: Any) -> Site:
    """Where a trial's agent works."""
    parts: dict[str, Any] = {
        "observation_space": gymnasium.spaces.Box(0, 255, (2, 36, 36), np.uint8),
        "action_space": gymnasium.spaces.Discrete(ACTIONS),
        "frame_stack": 2,
        "frame_pad": "zeros",
        "plugins": {"rainbow": plugins},
        "clock": Clock(total=Counts(updates=UPDATES, agent_steps=WARM + UPDATES, frames=WARM + UPDATES)),
        "seed": 0,
        "device": torch.device("cpu"),
    }
    return Site(**{**parts, **changes})


class Trial(Fed[Rainbow]):
    """A run without its loop: an agent with these plugins, and what it did; `changes` are of `SMALL`."""

    def __init__(self, plugins: Sequence[Plugin] = (), *, seed: int = 0, **changes: Any) -> None:
        self.plugins = tuple(plugins)
        agent = Rainbow(**{**SMALL, **changes})
        place = site(self.plugins, seed=seed)
        agent.begin(place)
        super().__init__(agent, place.clock)

    @property
    def learner(self) -> Learner:
        return self.agent.learners["rainbow"]

    def _first(self, step: int) -> np.ndarray[Any, Any]:
        return observation(step, first=True)

    def _after(self, step: int) -> np.ndarray[Any, Any]:
        return observation(step + 1)

    def _reward(self, step: int) -> float:
        return float(_frames()[1][step])

    def warm_up(self) -> "Trial":
        """Fill the replay, to the step that the first update follows."""
        return self.begin(WARM)

    def run(self, until: int = UPDATES) -> "Trial":
        """On to that many updates, an agent step after each."""
        return self.train(until)
