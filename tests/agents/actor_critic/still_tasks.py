"""The control suite's tasks by name and settings, with nothing that moves behind them: what recipes resolve to."""

from functools import cache
from typing import Any

import gymnasium
import numpy as np
from attrs import frozen

from plastic.agents import hooks as agents
from plastic.core.environment import Env, EnvFamily
from plastic.core.hookspecs import hookimpl
from plastic.core.recipes import options
from plastic.core.recipes.assemble import Assembly, assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from plastic.envs.dm_control import DmControl
from plastic.plugins import hooks as plugins

ACTIONS = 6
VALUES = 17  # of a state


class Still(gymnasium.Env[Any, Any]):
    """As the cheetah's observations and actions are."""

    def __init__(self, rules: DmControl) -> None:
        spaces = gymnasium.spaces
        self.action_space = spaces.Box(-1, 1, (ACTIONS,), np.float32)
        self.frame_skip = rules.action_repeat or (2 if rules.pixels else 1)
        self.frame_stack = 3 if rules.pixels else 1
        self.frame_pad = "first"
        channels, size = (3 if rules.grey is False else 1), rules.size or 64
        pictures = spaces.Box(0, 255, (3 * channels, size, size), np.uint8)
        self.observation_space = pictures if rules.pixels else spaces.Box(-np.inf, np.inf, (VALUES,), np.float32)


@frozen
class StillTasks(DmControl):
    """All options and names are the suite's own."""

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        return Still(self)


class Hooks:
    @staticmethod
    @hookimpl
    def plastic_envs() -> list[type[EnvFamily]]:
        return [StillTasks]


@cache
def registry() -> Registry:
    """The built-in agents and plugins."""
    found = Registry()
    for hooks in (agents, plugins, Hooks):
        found.add(hooks, "plastic-rl")
    return found


def assembled(
    agent: str, env: str, preset: str | None = None, *chosen: str, steps: int = 100_000, **more: Any
) -> Assembly:
    """What these words resolve to."""
    parsed = tuple(Chosen.parse(text) for text in chosen)
    return assemble(Recipe(agent, env, preset, parsed, steps=steps, settings=more), registry())


def settings(assembly: Assembly) -> dict[str, Any]:
    """The agent's, by name."""
    return dict(options.values(assembly.agent))


def of_environment(assembly: Assembly) -> dict[str, Any]:
    """The environment's that are not left to it."""
    return {name: value for name, value in options.values(assembly.family).items() if value not in ("none", False)}


def chosen(assembly: Assembly) -> list[tuple[str, str, dict[str, Any]]]:
    """Plugins with the learners they are on and all their options."""
    return [(one.name, str(one.on), dict(one.options)) for one in assembly.recipe.plugins]
