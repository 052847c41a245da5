"""From a recipe to everything a run needs, or one sentence why not."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import gymnasium
import torch
from attrs import evolve, frozen

from plastic.core import options
from plastic.core.agent import Agent, Observations, Preset, Site, observations_of
from plastic.core.environment import Env, EnvFamily
from plastic.core.errors import UsageError, suggestion
from plastic.core.intervention import BUILD_STAGES, PlasticityIntervention
from plastic.core.modifier import MODIFIER_STAGES, OptimizerModifier
from plastic.core.plugin import Plugin
from plastic.core.recipe import Chosen, Recipe
from plastic.core.registry import Registry
from plastic.core.schedule import Clock, Counts
from plastic.core.settings import Settings

CREDIT = 1e-9  # so that ten tenths of an update are one


@frozen(eq=False)
class Assembly:
    """A run that could begin; the recipe in it says every value."""

    recipe: Recipe
    preset: str
    settings: Settings
    family: EnvFamily
    env: Env
    agent: Agent
    plugins: Sequence[Plugin]
    clock: Clock

    def evaluation_env(self) -> Env:
        """A new environment under the rules scores are reported by."""
        return self.family.make(self.recipe.env, evaluation=True)


def assemble(recipe: Recipe, registry: Registry) -> Assembly:
    """Resolve names and presets, build everything, refuse what does not fit.

    Raises:
        UsageError: In one sentence.
    """
    device = _device(recipe.device)
    agent_class: type[Agent] = registry.find("agent", recipe.agent)
    family_class, task = find_task(recipe.env, registry)
    mine, agents, envs = _sort_settings(recipe.settings, agent_class, family_class)
    family: EnvFamily = options.build(family_class, envs, family_class.name)
    env = family.make(task)
    observation_space = env.observation_space
    if not isinstance(observation_space, gymnasium.spaces.Box):
        raise UsageError(f"{task} gives observations of {observation_space}; agents need arrays, a Box")
    observations = observations_of(observation_space)
    name = recipe.preset or agent_class.defaults.get(observations)
    if name is None:
        raise UsageError(f"{recipe.agent} has no preset for {observations}s, which {task} gives; name one by --preset")
    preset = find_preset(agent_class, name, observations)
    agent: Agent = options.build(agent_class, {**preset.settings, **agents}, recipe.agent)
    chosen = merged(preset.plugins, recipe.plugins)
    plugins = tuple(make_plugin(one, registry) for one in chosen)
    refuse_conflicts(plugins)
    settings: Settings = options.build(Settings, mine, "run")
    if not math.isfinite(agent.replay_ratio):
        raise UsageError(f"replay_ratio must be finite, not {agent.replay_ratio}")
    clock = Clock(total=_totals(recipe.steps, agent, frame_skip(env)))
    agent.begin(
        Site(
            observation_space=observation_space,
            action_space=env.action_space,
            frame_stack=_attribute(env, "frame_stack"),
            plugins=plugins,
            clock=clock,
            seed=recipe.seed,
            device=device,
        )
    )
    resolved = evolve(
        recipe,
        env=task,
        preset="none",
        settings={**options.values(settings), **options.values(family), **options.values(agent)},
        plugins=tuple(Chosen(one.name, options.values(plugin)) for one, plugin in zip(chosen, plugins, strict=True)),
    )
    return Assembly(resolved, name, settings, family, env, agent, plugins, clock)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no device {name!r}; use cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"no device {name!r}; use cpu, cuda or cuda:N")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available here; leave --device out to run on the CPU")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"there is no {device}; this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def find_task(task: str, registry: Registry) -> tuple[type[EnvFamily], str]:
    """The family a task belongs to and its full id.

    Raises:
        UsageError: If no family knows it, with the nearest name.
    """
    families = [entry.cls for entry in registry.all("environment family").values()]
    for family in families:
        found = family().find(task)
        if found is not None:
            return family, found
    known = [name for family in families for name in family().tasks()]
    short = {name.split("/")[-1].split("-v")[0].lower(): name for name in known}
    raise UsageError(f"no environment {task!r}; {suggestion(task, [*known, *short])}{registry.failures()}")


def _sort_settings(
    settings: Mapping[str, Any], agent: type[Agent], family: type[EnvFamily]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    owners = [set(options.fields(cls)) for cls in (Settings, agent, family)]
    sorted_: tuple[dict[str, Any], ...] = ({}, {}, {})
    for name, value in settings.items():
        homes = [place for place, known in enumerate(owners) if name in known]
        if not homes:
            raise UsageError(f"no setting {name!r}; {suggestion(name, set().union(*owners))}")
        if len(homes) > 1:
            raise UsageError(f"{name!r} is a setting of two of run, {agent.name} and {family.name}; rename one")
        sorted_[homes[0]][name] = value
    return sorted_[0], sorted_[1], sorted_[2]


def find_preset(agent: type[Agent], name: str, observations: Observations) -> Preset:
    """The agent's preset of that name; `none` is its bare defaults.

    Raises:
        UsageError: If there is none, or it is for other observations.
    """
    if name == "none":
        return Preset("the agent's defaults", "")
    if name not in agent.presets:
        raise UsageError(f"{agent.name} has no preset {name!r}; {suggestion(name, [*agent.presets, 'none'])}")
    preset = agent.presets[name]
    if preset.observations not in (None, observations):
        fits = [other for other, one in agent.presets.items() if one.observations in (None, observations)]
        raise UsageError(
            f"the preset {name!r} is for {preset.observations}s, and this environment gives {observations}s; "
            f"use {' or '.join(fits)}"
        )
    return preset


def merged(preset: Sequence[Chosen], chosen: Sequence[Chosen]) -> list[Chosen]:
    """The preset's plugins with the user's: one of a name the preset has adds its options to that one's."""
    plugins = list(preset)
    places = {one.name: place for place, one in enumerate(plugins)}
    for one in chosen:
        place = places.pop(one.name, None)
        if place is None:
            plugins.append(one)
        else:
            plugins[place] = Chosen(one.name, {**plugins[place].options, **one.options})
    return plugins


def make_plugin(chosen: Chosen, registry: Registry) -> Plugin:
    """An instance with its options.

    Raises:
        UsageError: If there is no such plugin or option, or a value is wrong.
    """
    plugin: Plugin = options.build(registry.find("plugin", chosen.name), chosen.options, chosen.name)
    return plugin


def refuse_conflicts(plugins: Sequence[Plugin]) -> None:
    """Refuse two plugins that claim the same thing.

    Raises:
        UsageError: Naming both, and what they claim.
    """
    for one, other in combinations(plugins, 2):
        both = sorted(one.claims & other.claims)
        if both:
            again = (
                f"{one.name!r} is there twice and claims"
                if one.name == other.name
                else (f"{one.name!r} and {other.name!r} both claim")
            )
            raise UsageError(f"{again} the {both[0]}; choose one")


def in_order_of_effect(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Plugins by the stage they act in, the user's order within one: build, gradients, edits, probes."""

    def stage(plugin: Plugin) -> int:
        if isinstance(plugin, PlasticityIntervention):
            built = plugin.overrides("build")
            return BUILD_STAGES.index(plugin.stage) if built else 20
        if isinstance(plugin, OptimizerModifier):
            return 10 + MODIFIER_STAGES.index(plugin.stage)
        return 30

    return sorted(plugins, key=stage)


def frame_skip(env: Env) -> int:
    """Frames of an agent step."""
    return _attribute(env, "frame_skip")


def _attribute(env: Env, name: str) -> int:
    return int(env.get_wrapper_attr(name)) if env.has_wrapper_attr(name) else 1


def _totals(steps: int, agent: Agent, skip: int) -> Counts:
    learning = max(0, steps - max(agent.learning_starts, 1) + 1)
    return Counts(updates=int(learning * agent.replay_ratio + CREDIT), agent_steps=steps, frames=steps * skip)
