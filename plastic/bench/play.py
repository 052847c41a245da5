"""What random play of an environment gives: something to fill a replay with, and the time of a step."""

import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from attrs import frozen
from numpy.typing import NDArray

from plastic.core.agent import Agent
from plastic.core.environment import Env
from plastic.core.runs.episodes import Episodes, Step

_ENOUGH = 2_000  # agent steps, if no game ends before
_LONGEST = 5.0  # seconds


@frozen(eq=False)
class Seen:
    """What came of an action; without one, the first observation of an episode."""

    observation: NDArray[Any]
    action: Any = None
    step: Step | None = None


@frozen(eq=False)
class Play:
    """One game by random actions, or its beginning.

    Attributes:
        seen: In order.
        steps: Agent steps among it.
        game_over: Whether the game came to its end.
        seconds: Of one agent step of the environment by the clock, resets included.
    """

    seen: Sequence[Seen]
    steps: int
    game_over: bool
    seconds: float

    def feed(self, agent: Agent, steps: int) -> None:
        """Have an agent see this many agent steps; the game is repeated as often as that takes."""
        fed = 0
        for seen in cycle(self.seen):
            if fed == steps:
                return
            if seen.step is None:
                agent.start_episode(seen.observation)
                continue
            cut = seen is self.seen[-1] and not seen.step.terminated  # the beginning of a game ends by a time limit
            agent.observe(
                seen.action, seen.step.reward, seen.observation, seen.step.terminated, seen.step.truncated or cut
            )
            fed += 1


def random_play(env: Env, seed: int) -> Play:
    """Play by actions drawn evenly: a game, or 2,000 agent steps or five seconds of it."""
    episodes = Episodes(env, seed, "bench")
    env.action_space.seed(seed)
    began = time.perf_counter()
    seen = [Seen(episodes.begin())]
    steps, over = 0, False
    while not over and steps < _ENOUGH and time.perf_counter() - began < _LONGEST:
        action = env.action_space.sample()
        step = episodes.step(action)
        seen.append(Seen(step.observation, action, step))
        steps, over = steps + 1, step.game_over
        if (step.terminated or step.truncated) and not over:
            seen.append(Seen(episodes.begin()))
    return Play(seen, steps, over, (time.perf_counter() - began) / steps)
