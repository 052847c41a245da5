"""Small actor-critics on random observations, assembled as a run is and fed by hand."""

import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import gymnasium
import numpy as np
import torch
from attrs import asdict, evolve, frozen
from numpy.typing import NDArray
from torch import Tensor

from plastic.agents import hooks as agents
from plastic.core.assemble import CREDIT, assemble
from plastic.core.environment import Env, EnvFamily
from plastic.core.hookspecs import hookimpl
from plastic.core.recipe import Chosen, Recipe
from plastic.core.registry import Registry
from plastic.core.schedule import Counts
from plastic.plugins import hooks as plugins

WARM = 24  # agent steps; the first update follows the last of them
STEPS = WARM + 4  # of a whole trial: five updates at one a step
SMALL: Mapping[str, Any] = {
    "hidden": 16,
    "batch_size": 6,
    "n_step": 2,
    "replay_capacity": 28,  # so that it wraps
    "learning_starts": WARM,
    "learning_rate": 3e-3,
    "target_rate": 0.1,
    "probe_batch": 8,
}
_SHIFTED = {**SMALL, "shift": 2}
KINDS: Mapping[str, Mapping[str, Any]] = {  # what a trial is of; `pixels` has a smaller encoder than `drq`
    "states": {"agent": "sac", "env": "Noise/States-v0", "settings": SMALL},
    "pixels": {"agent": "sac", "env": "Noise/Pixels-v0", "settings": {**_SHIFTED, "encoder": "drqv2"}},
    "drq": {"agent": "sac", "env": "Noise/Pixels-v0", "settings": _SHIFTED},
    "drqv2": {"agent": "drqv2", "env": "Noise/Pixels-v0", "settings": _SHIFTED},
}
_FRAMES: Mapping[str, tuple[int, ...]] = {"Noise/States-v0": (5,), "Noise/Pixels-v0": (1, 16, 16)}


class Noise(gymnasium.Env[Any, Any]):
    """The spaces of a task, and how its frames are stacked; nobody plays it."""

    def __init__(self, task: str) -> None:
        shape = _FRAMES[task]
        images = len(shape) > 1
        stacked = (2 * shape[0], *shape[1:])
        self.frame_stack = 2
        self.frame_pad = "first"
        self.observation_space = (
            gymnasium.spaces.Box(0, 255, stacked, np.uint8)
            if images
            else gymnasium.spaces.Box(-np.inf, np.inf, stacked, np.float32)
        )
        self.action_space = gymnasium.spaces.Box(-2, 2, (2,), np.float32)


@frozen
class Noises(EnvFamily):
    """Both tasks."""

    name = "noises"

    def tasks(self) -> Sequence[str]:
        return list(_FRAMES)

    def find(self, task: str) -> str | None:
        return task if task in _FRAMES else None

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        return Noise(task)


class _Hooks:
    @staticmethod
    @hookimpl
    def plastic_envs() -> list[type[EnvFamily]]:
        return [Noises]


@cache
def registry() -> Registry:
    """The built-in plugins and agents, and the tasks of noise."""
    known = Registry()
    known.add(plugins, "plastic-rl")
    known.add(agents, "plastic-rl")
    known.add(_Hooks, "noises")
    return known


@cache
def _drawn(env: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Random frames [steps, *frame] and rewards [steps]."""
    generator = np.random.default_rng(0)
    shape = (STEPS + 2, *_FRAMES[env])
    images = len(shape) > 2
    frames = generator.integers(0, 256, shape, np.uint8) if images else generator.normal(size=shape).astype(np.float32)
    return frames, generator.normal(size=STEPS + 2)


class Trial:
    """A run without its environment and folder: an agent with these plugins, and what it did."""

    def __init__(self, kind: str, chosen: Sequence[Chosen] = (), *, seed: int = 0) -> None:
        said = KINDS[kind]
        ratio = {} if any(one.name == "adaptive_rr" for one in chosen) else {"replay_ratio": 1.0}
        settings = {**said["settings"], **ratio}
        recipe = Recipe(said["agent"], said["env"], plugins=chosen, seed=seed, steps=STEPS, settings=settings)
        self.assembly = assemble(recipe, registry())
        self.agent = self.assembly.agent
        self.clock = self.assembly.clock
        self.learners = self.agent.learners
        self.actions: list[Tensor] = []
        self.measured: dict[int, dict[str, float]] = {}  # by update
        self._env = said["env"]
        self._credit = 0.0
        self._ratio = self.agent.replay_ratio
        self.observation = self._stack(0, first=True)

    def _stack(self, step: int, *, first: bool = False) -> NDArray[Any]:
        frames, _ = _drawn(self._env)
        return np.concatenate([frames[step if first else step - 1], frames[step]])

    def warm_up(self) -> "Trial":
        """Fill the replay, to just before the step that the first update follows."""
        self.agent.start_episode(self.observation)
        for _ in range(WARM - 1):
            self.act()
        return self

    def act(self) -> None:
        step = self.clock.now.agent_steps
        action = self.agent.act(self.observation)
        self.actions.append(torch.from_numpy(action))
        self.clock.advance(agent_steps=1, frames=2)
        terminated, truncated = step % 13 == 8, step % 13 == 12
        self.observation = self._stack(step + 1)
        self.agent.observe(action, float(_drawn(self._env)[1][step]), self.observation, terminated, truncated)
        if terminated or truncated:
            self.clock.advance(episodes=1)
            self.observation = self._stack(step + 1, first=True)
            self.agent.start_episode(self.observation)

    def owed(self) -> int:
        """Updates after this step; what a run owes."""
        ratio = float(self.agent.knobs["replay_ratio"])
        if ratio != self._ratio:
            left = STEPS - self.clock.now.agent_steps + 1
            updates = self.clock.now.updates + int(self._credit + left * ratio + CREDIT)
            self.clock.total = evolve(self.clock.total, updates=updates)
            self._ratio = ratio
        self._credit += ratio
        whole = int(self._credit + CREDIT)
        self._credit -= whole
        return whole

    def update(self) -> None:
        self.clock.advance(updates=1)
        self.agent.update()

    def tend(self) -> None:
        measured = self.agent.tend()
        if measured:
            self.measured[self.clock.now.updates] = {name: float(value) for name, value in measured.items()}
        self.clock.tick()

    def run(self, until: int = STEPS) -> "Trial":
        """On to that many agent steps, with the updates that are owed after each."""
        while self.clock.now.agent_steps < until:
            self.act()
            for _ in range(self.owed()):
                self.update()
                self.tend()
        return self

    def save(self) -> io.BytesIO:
        """What a checkpoint holds, as its bytes."""
        file = io.BytesIO()
        state = {
            "agent": self.agent.state_dict(),
            "learners": {name: learner.state_dict() for name, learner in self.learners.items()},
            "clock": [asdict(self.clock.now), asdict(self.clock.before)],
            "credit": self._credit,
            "observation": torch.from_numpy(self.observation),
        }
        torch.save(state, file)
        return file

    def load(self, file: io.BytesIO) -> "Trial":
        file.seek(0)
        state = torch.load(file, weights_only=True)
        for name, learner in self.learners.items():
            learner.load_state_dict(state["learners"][name])
        self.agent.load_state_dict(state["agent"])
        self.clock.now, self.clock.before = (Counts(**counts) for counts in state["clock"])
        self._credit = state["credit"]
        self.observation = state["observation"].numpy()
        return self
