"""Playing whole games under a policy."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Recipe
from plastic.core.runs.episodes import Episodes
from plastic.core.runs.evaluation import evaluate, play
from tests.core.games import TINY, Walk, registry


def right(observations: NDArray[Any]) -> NDArray[Any]:
    """Walks right where the place is even: a function of each observation alone."""
    return np.where(observations[:, 0] % 2 == 0, 1, 0)


class Counting:
    """Makes walks, and knows which are open."""

    def __init__(self, lives: int = 2) -> None:
        self.lives = lives
        self.made = 0
        self.open = 0

    def __call__(self) -> Walk:
        self.made += 1
        self.open += 1
        env = Walk(self.lives)
        env.close = self._closed  # type: ignore[method-assign]
        return env

    def _closed(self) -> None:
        self.open -= 1


def alone(game: int, seed: int = 0) -> float:
    """The score of one game, played by hand."""
    episodes = Episodes(Walk(2), seed, "evaluation", 7, game)
    observation = episodes.begin()
    while True:
        step = episodes.step(int(right(observation[None])[0]))
        if step.game_over:
            return episodes.score
        observation = episodes.begin() if step.terminated or step.truncated else step.observation


@pytest.mark.parametrize("together", [1, 3, 5, 20])
def test_scores_are_those_of_games_with_seeds_of_their_own_whatever_is_played_together(together: int) -> None:
    make = Counting()
    scores = play(right, make, 7, seed=0, label=("evaluation", 7), together=together)
    assert scores == [alone(game) for game in range(7)]
    assert len(set(scores)) > 1
    assert make.made == min(together, 7)
    assert make.open == 0


def test_the_policy_sees_a_batch_of_those_still_playing() -> None:
    sizes: list[int] = []

    def act(observations: NDArray[Any]) -> NDArray[Any]:
        sizes.append(len(observations))
        return right(observations)

    play(act, Counting(), 5, seed=0, label=("evaluation", 7), together=3)
    assert sizes[0] == 3
    assert sizes[-1] < 3
    assert sorted(set(sizes), reverse=True)[0] == 3


def test_another_seed_plays_other_games() -> None:
    scores = [play(right, Counting(), 5, seed=seed, label=("evaluation", 7)) for seed in (0, 1)]
    assert scores[0] != scores[1]
    assert scores[1] == [alone(game, seed=1) for game in range(5)]


def test_no_games_are_no_scores() -> None:
    make = Counting()
    assert play(right, make, 0, seed=0, label=()) == []
    assert make.made == 0


@pytest.mark.parametrize("after", [0, 1, 10, 60])
def test_it_stops_between_two_steps_with_the_games_that_are_over(after: int) -> None:
    steps = 0

    def act(observations: NDArray[Any]) -> NDArray[Any]:
        nonlocal steps
        steps += 1
        return right(observations)

    make = Counting()
    scores = play(act, make, 6, seed=0, label=("evaluation", 7), together=2, stop=lambda: steps >= after)
    assert steps == after
    assert len(scores) < 6
    assert set(scores) <= {alone(game) for game in range(6)}
    assert make.open == 0


def test_environments_are_closed_after_an_error() -> None:
    def act(observations: NDArray[Any]) -> NDArray[Any]:
        raise KeyError

    make = Counting()
    with pytest.raises(KeyError):
        play(act, make, 2, seed=0, label=())
    assert make.open == 0


def test_an_agent_is_evaluated_in_the_games_of_its_step_and_seed() -> None:
    assembly = assemble(Recipe(env="walk", steps=30, settings=TINY), registry())
    first = evaluate(assembly, 4)
    assert len(first) == 4
    assert evaluate(assembly, 4) == first
    assert evaluate(assembly, 6)[:4] == first
    assembly.clock.advance(agent_steps=20)
    assert evaluate(assembly, 4) != first
    assert evaluate(assembly, 4, stop=lambda: True) == []
