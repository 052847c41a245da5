"""Episodes by seed and actions."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from plastic.core.runs.episodes import Episodes
from plastic.core.streams import derive
from tests.core.games import Walk


def test_the_score_is_that_of_the_raw_rewards_over_all_lives() -> None:
    episodes = Episodes(Walk(lives=2), 0, "episodes")
    episodes.begin()
    score, length, lost = 0.0, 0, 0
    while True:
        step = episodes.step(1)
        length += 1
        raw = 5 * float(step.observation[0])
        score += raw
        assert step.reward == np.sign(raw)
        if step.game_over:
            break
        if step.terminated:  # a life
            lost += 1
            assert not step.truncated
            episodes.begin()
            assert episodes.score == score
    assert lost == 1
    assert (episodes.score, episodes.length) == (score, length)
    episodes.begin()
    assert (episodes.score, episodes.length) == (0.0, 0)


def test_a_time_limit_ends_the_game() -> None:
    episodes = Episodes(Walk(lives=5, limit=3), 0, "episodes")
    episodes.begin()
    steps = []
    for action in (1, 0, 1):
        steps.append(episodes.step(action))
    assert [step.truncated for step in steps] == [False, False, True]
    assert steps[-1].game_over


def test_a_score_without_raw_rewards_is_that_of_the_rewards() -> None:
    episodes = Episodes(gymnasium.make("CartPole-v1"), 0, "episodes")
    episodes.begin()
    step = episodes.step(0)
    assert (step.reward, episodes.score) == (1.0, 1.0)


class Seeds(gymnasium.Env[NDArray[np.float32], int]):
    """Writes down how it is reset; every second step loses a life, every fourth the game."""

    def __init__(self) -> None:
        self.seeds: list[int | None] = []
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        self.seeds.append(seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.zeros(1, np.float32), 0.0, self.steps % 2 == 0, False, {"life_lost": self.steps % 4 != 0}


def test_each_game_has_a_seed_of_its_own_and_a_lost_life_none() -> None:
    env = Seeds()
    episodes = Episodes(env, 7, "episodes", 3)
    episodes.begin()
    for _ in range(8):
        if episodes.step(0).terminated:
            episodes.begin()
    assert env.seeds[1::2] == [None, None]
    assert env.seeds[::2] == [derive(7, "episodes", 3, game) % 2**31 for game in (1, 2, 3)]


@pytest.mark.parametrize("steps", [0, 1, 5, 17, 40, 90])
def test_a_game_is_rebuilt_from_its_seed_and_actions(steps: int) -> None:
    straight = Episodes(Walk(lives=3), 0, "episodes")
    observation = straight.begin()
    actions = np.random.default_rng(5)
    for _ in range(steps):
        step = straight.step(int(actions.integers(2)))
        observation = straight.begin() if step.terminated or step.truncated else step.observation
    again = Episodes(Walk(lives=3), 0, "episodes")
    assert np.array_equal(again.load_state_dict(straight.state_dict()), observation)
    assert (again.score, again.length) == (straight.score, straight.length)
    for _ in range(60):
        action = int(actions.integers(2))
        one, other = straight.step(action), again.step(action)
        assert np.array_equal(one.observation, other.observation)
        assert (one.reward, one.terminated, one.truncated, one.game_over) == (
            other.reward,
            other.terminated,
            other.truncated,
            other.game_over,
        )
        assert straight.score == again.score
        if one.terminated or one.truncated:
            assert np.array_equal(straight.begin(), again.begin())


def test_actions_that_are_vectors_are_rebuilt_too() -> None:
    def episodes() -> Episodes:
        return Episodes(gymnasium.make("MountainCarContinuous-v0"), 0, "episodes")

    straight = episodes()
    straight.begin()
    for force in (0.5, -1.0, 0.25):
        observation = straight.step(np.array([force], np.float32)).observation
    again = episodes()
    assert np.array_equal(again.load_state_dict(straight.state_dict()), observation)
    action = np.array([0.7], np.float32)
    assert np.array_equal(straight.step(action).observation, again.step(action).observation)


def test_two_labels_play_different_games() -> None:
    first, other = (Episodes(Walk(3), 0, label).begin() for label in ("episodes", "evaluation"))
    assert not np.array_equal(first, other)
