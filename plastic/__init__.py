"""Deep reinforcement learning with any cure for the loss of plasticity, in any combination.

>>> import plastic
>>> recipe = plastic.Recipe(agent="rainbow", env="CartPole-v1", steps=10_000)  # plastic.run(recipe)
>>> recipe.seed
0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plastic.core.recipes.recipe import Chosen, Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plastic.core.runs.listener import Listener
    from plastic.core.runs.run import Run
    from plastic.policy import Policy

__version__ = "0.1.0.dev0"
__all__ = ["Chosen", "Recipe", "__version__", "load", "run"]


def run(recipe: Recipe, out: Path | str | None = None, listeners: Sequence[Listener] = ()) -> Run:
    """Train by a recipe and evaluate; the run's `.result` and `.folder` say what came of it.

    Args:
        recipe: What to run.
        out: The run's folder; None takes the next free one under `runs/`.
        listeners: Who hears of it.

    Raises:
        UsageError: If the recipe does not fit, or the folder is there already.
        RunError: If the loss is not finite, or a file cannot be written.
    """
    from plastic import running

    return running.run(recipe, out, listeners)


def load(path: Path | str) -> Policy:
    """The policy that the run in a folder has learnt, to act with.

    Raises:
        UsageError: If there is no run or no checkpoint.
    """
    from plastic import running

    return running.load(path)
