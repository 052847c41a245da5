from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from plastic.bench.play import random_play


class Short(gymnasium.Env[NDArray[np.float32], int]):
    """Five steps a game, one of its lives lost after the second."""

    observation_space = gymnasium.spaces.Box(0, 100, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)  # type: ignore[assignment]

    def __init__(self, steps: int = 5) -> None:
        self.steps, self.at = steps, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.at = self.at if seed is None else 0
        return np.array([self.at], np.float32), {}

    def step(self, action: int) -> Any:
        self.at += 1
        lost = self.at == 2
        return (
            np.array([self.at], np.float32),
            float(self.at),
            lost or self.at == self.steps,
            False,
            {"life_lost": lost},
        )


class Watching:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def start_episode(self, observation: NDArray[Any]) -> None:
        self.seen.append(int(observation[0]))

    def observe(self, action: Any, reward: float, observation: NDArray[Any], terminated: bool, truncated: bool) -> None:
        self.seen.append((reward, int(observation[0]), terminated, truncated))


def test_a_game_is_played_to_its_end_across_lost_lives() -> None:
    play = random_play(Short(), seed=0)
    assert (play.steps, play.game_over) == (5, True)
    assert [int(seen.observation[0]) for seen in play.seen] == [0, 1, 2, 2, 3, 4, 5]
    assert play.seconds > 0


def test_an_agent_sees_the_game_again_and_again() -> None:
    agent: Any = Watching()
    random_play(Short(), seed=0).feed(agent, 7)
    first = [0, (1.0, 1, False, False), (2.0, 2, True, False), 2, (3.0, 3, False, False), (4.0, 4, False, False)]
    assert agent.seen == [*first, (5.0, 5, True, False), *first[:3]]


def test_a_game_without_end_is_cut_as_by_a_time_limit() -> None:
    play = random_play(Short(steps=10**9), seed=0)
    assert (play.steps, play.game_over) == (2_000, False)
    agent: Any = Watching()
    play.feed(agent, 2_001)
    assert agent.seen[2_001] == (2_000.0, 2_000, False, True)
    assert agent.seen[2_002:] == [0, (1.0, 1, False, False)]
