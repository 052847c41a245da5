"""Evaluation: whole games under a policy, several side by side."""

from collections.abc import Callable
from contextlib import ExitStack, closing

import numpy as np
import torch

from plastic.core.agent import Act
from plastic.core.environment import Env
from plastic.core.recipes.assemble import Assembly
from plastic.core.runs.episodes import Episodes
from plastic.core.streams import derive


def evaluate(assembly: Assembly, games: int, stop: Callable[[], bool] = lambda: False) -> list[float]:
    """Scores of `games` games of the agent as it is, under the environment's evaluation rules; fewer as in `play`."""
    label = ("evaluation", assembly.clock.now.agent_steps)
    stream = torch.Generator().manual_seed(derive(assembly.recipe.seed, *label, "actions"))
    return play(
        assembly.agent.policy(stream),
        assembly.evaluation_env,
        games,
        seed=assembly.recipe.seed,
        label=label,
        together=assembly.settings.eval_envs,
        stop=stop,
    )


def play(
    act: Act,
    make: Callable[[], Env],
    games: int,
    *,
    seed: int,
    label: tuple[str | int, ...],
    together: int = 8,
    stop: Callable[[], bool] = lambda: False,
) -> list[float]:
    """Scores of `games` games, in order of their seeds; fewer if `stop` says so between two steps.

    Each game has a seed of its own; up to `together` of them are played in step, so that the
    policy sees batches.
    """
    scores: dict[int, float] = {}
    tables: dict[int, Episodes] = {}
    observations = {}
    waiting = list(range(games))
    with ExitStack() as open_envs:
        idle = [open_envs.enter_context(closing(make())) for _ in range(min(together, games))]
        while (waiting or tables) and not stop():
            while waiting and idle:
                game = waiting.pop(0)
                tables[game] = Episodes(idle.pop(), seed, *label, game)
                observations[game] = tables[game].begin()
            playing = sorted(tables)
            actions = act(np.stack([observations[game] for game in playing]))
            for game, action in zip(playing, actions, strict=True):
                table = tables[game]
                step = table.step(action)
                if step.game_over:
                    scores[game] = table.score
                    idle.append(table.env)
                    del tables[game]
                elif step.terminated or step.truncated:
                    observations[game] = table.begin()
                else:
                    observations[game] = step.observation
    return [scores[game] for game in sorted(scores)]
