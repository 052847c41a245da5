"""SAC that learns from random frames of three grey pictures of 64x64 (DrQ), fed by hand."""

from collections.abc import Iterator
from functools import cache

import gymnasium
import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray

from plastic.agents.replay import Replay
from plastic.agents.sac.sac import SAC
from plastic.core.agent import Site
from plastic.core.schedule import Clock, Counts

SHAPE = (3, 64, 64)
ACTIONS = 6
BATCH = 64
CAPACITY = 20_000  # agent steps
STEPS = 4_000  # in the replay: many times what a processor's caches hold
EPISODE = 250  # agent steps
UPDATES = 100_000  # of a whole run

Step = tuple[NDArray[np.float32], float, NDArray[np.uint8], bool]  # action, reward, next observation, truncated


@cache
def _frames() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (STEPS + 1, *SHAPE[1:]), np.uint8)


def episodes() -> Iterator[NDArray[np.uint8] | Step]:
    """The replay's steps: a first observation, then steps up to a time limit, and so on."""
    rng = np.random.default_rng(1)
    frames = _frames()
    for step in range(STEPS):
        if step % EPISODE == 0:
            stack = np.repeat(frames[step][None], SHAPE[0], 0)
            yield stack
        stack = np.concatenate((stack[1:], frames[step + 1][None]))
        action = rng.uniform(-1, 1, ACTIONS).astype(np.float32)
        yield action, float(rng.uniform()), stack, (step + 1) % EPISODE == 0


def replay() -> Replay:
    """The agent's replay by itself."""
    agent = SAC()
    made = Replay(
        capacity=CAPACITY,
        observation_shape=SHAPE,
        dtype=torch.uint8,
        frame_stack=SHAPE[0],
        frame_pad="first",
        n_step=agent.n_step,
        discount=agent.discount,
        priority_exponent=0.0,
        device="cpu",
        action_shape=(ACTIONS,),
        action_dtype=torch.float32,
    )
    for seen in episodes():
        if isinstance(seen, tuple):
            action, reward, observation, truncated = seen
            made.add(action, reward, observation, False, truncated)
        else:
            made.start(seen)
    return made


@define(eq=False)
class Controlling:
    """SAC in the middle of learning. A call does what a run does for one update."""

    clock: Clock = field(init=False)
    agent: SAC = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clock = Clock(total=Counts(updates=UPDATES, agent_steps=UPDATES, frames=UPDATES))
        self.agent = SAC(batch_size=BATCH, replay_capacity=CAPACITY, learning_starts=STEPS)
        self.agent.begin(
            Site(
                observation_space=gymnasium.spaces.Box(0, 255, SHAPE, np.uint8),
                action_space=gymnasium.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32),
                frame_stack=SHAPE[0],
                frame_pad="first",
                plugins=dict.fromkeys(SAC.learns, ()),
                clock=self.clock,
                seed=0,
                device=torch.device("cpu"),
            )
        )
        for seen in episodes():
            if isinstance(seen, tuple):
                action, reward, observation, truncated = seen
                self.agent.observe(action, reward, observation, False, truncated)
            else:
                self.agent.start_episode(seen)
        self.clock.advance(agent_steps=STEPS, frames=STEPS)

    def __call__(self) -> None:
        self.clock.advance(updates=1)
        self.agent.update()
        self.agent.tend()
        self.clock.tick()
