"""An agent that learns from random frames of Atari's size, in Rainbow's default configuration, fed by hand."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

import gymnasium
import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.agents.replay import Replay
from plastic.core.agent import Site
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.schedule import Clock, Counts

SHAPE = (4, 84, 84)
ACTIONS = 6
CAPACITY = 100_000  # agent steps
STEPS = 6_000  # in the replay: many times what a processor's caches hold
EPISODE = 500  # agent steps
UPDATES = 196_000  # of a whole run: replay ratio 2, the first after 2,000 of 100,000 agent steps
TOTAL = Counts(updates=UPDATES, agent_steps=CAPACITY, frames=4 * CAPACITY)

Step = tuple[int, float, NDArray[np.uint8], bool]  # action, reward, next observation, terminated


@cache
def _frames() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3_000, *SHAPE[1:]), np.uint8)


def steps() -> Iterator[NDArray[np.uint8] | Step]:
    """Episodes without end: a first observation, then steps up to a terminal, and so on."""
    rng = np.random.default_rng(1)
    frames = _frames()
    first = 0
    while True:
        stack = np.zeros(SHAPE, np.uint8)
        for step in range(EPISODE + 1):
            stack = np.concatenate((stack[1:], frames[(first + step) % len(frames)][None]))
            if step == 0:
                yield stack
            else:
                yield int(rng.integers(ACTIONS)), float(rng.integers(-1, 2)), stack, step == EPISODE
        first += EPISODE + 1


def feed(
    start: Callable[[NDArray[Any]], None], add: Callable[[Any, float, NDArray[Any], bool, bool], None], count: int
) -> None:
    """Have `count` agent steps seen; a first observation counts as one."""
    for seen in islice(steps(), count):
        if isinstance(seen, tuple):
            action, reward, observation, terminated = seen
            add(action, reward, observation, terminated, False)
        else:
            start(seen)


def replay(filled: int = STEPS) -> Replay:
    """The agent's replay by itself."""
    agent = Rainbow()
    made = Replay(
        capacity=CAPACITY,
        observation_shape=SHAPE,
        dtype=torch.uint8,
        frame_stack=SHAPE[0],
        n_step=agent.n_step,
        discount=agent.discount,
        priority_exponent=agent.priority_exponent,
        device="cpu",
    )
    feed(made.start, made.add, filled)
    return made


@define(eq=False)
class Learning:
    """Rainbow in the middle of learning. A call does what a run does for one update."""

    plugins: Sequence[Plugin] = ()
    clock: Clock = field(init=False)
    agent: Rainbow = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clock = Clock(total=TOTAL)
        self.agent = Rainbow()
        self.agent.begin(
            Site(
                observation_space=gymnasium.spaces.Box(0, 255, SHAPE, np.uint8),
                action_space=gymnasium.spaces.Discrete(ACTIONS),
                frame_stack=SHAPE[0],
                frame_pad="zeros",
                plugins={"rainbow": self.plugins},
                clock=self.clock,
                seed=0,
                device=torch.device("cpu"),
            )
        )
        feed(self.agent.start_episode, self.agent.observe, STEPS)
        self.clock.advance(agent_steps=STEPS, frames=4 * STEPS)

    def __call__(self) -> None:
        """Update, and let the plugins that are due look and edit."""
        self.update()
        self.tend()

    def update(self) -> None:
        self.clock.advance(updates=1)
        self.agent.update()

    def tend(self) -> None:
        self.agent.tend()
        self.clock.tick()

    @property
    def learner(self) -> Learner:
        return self.agent.learners["rainbow"]
