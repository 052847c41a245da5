"""What presets, tasks and the user say of settings and plugins, one over the other."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from attrs import evolve

from plastic.core.agent import Agent, Observations, Preset, TaskValues
from plastic.core.errors import UsageError, suggestion
from plastic.core.recipes.recipe import Chosen


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
        instead = f"use {' or '.join(fits)}" if fits else f"{agent.name} has none for them"
        raise UsageError(
            f"the preset {name!r} is for {preset.observations}s, and this environment gives {observations}s; {instead}"
        )
    return preset


def merged(preset: Sequence[Chosen], chosen: Sequence[Chosen]) -> list[Chosen]:
    """The preset's plugins with the user's: one of a name the preset has adds its options to that one's.

    Not where each is addressed to learners of its own: then they are two.
    """
    plugins = list(preset)
    free = list(range(len(plugins)))
    for one in chosen:
        place = next(
            (
                at
                for at in free
                if plugins[at].name == one.name and (None in (one.on, plugins[at].on) or one.on == plugins[at].on)
            ),
            None,
        )
        if place is None:
            plugins.append(one)
        else:
            free.remove(place)
            before = plugins[place]
            plugins[place] = Chosen(one.name, {**before.options, **one.options}, one.on or before.on)
    return plugins


def of_task(agent: type[Agent], task: str, preset: str) -> list[TaskValues]:
    """What an agent's sources set for this task beside the preset of that name, the more special last."""
    return [
        values
        for pattern, values in agent.tasks.items()
        if fnmatchcase(task, pattern) and (values.presets is None or preset in values.presets)
    ]


def settings_of(known: Sequence[TaskValues]) -> dict[str, Any]:
    """Of the agent."""
    return {name: value for values in known for name, value in values.settings.items()}


def plugins_of(preset: Preset, known: Sequence[TaskValues], said: Sequence[Chosen]) -> list[Chosen]:
    """The preset's plugins and the user's; the options of a task stand between the preset's and the user's."""

    def values_of(plugin: str) -> dict[str, Any]:
        return {name: value for values in known for name, value in values.values.get(plugin, {}).items()}

    there = {one.name for one in preset.plugins}
    return merged(
        [evolve(one, options={**one.options, **values_of(one.name)}) for one in preset.plugins],
        [
            one
            if one.name in there
            else evolve(one, options={**preset.values.get(one.name, {}), **values_of(one.name), **one.options})
            for one in said
        ],
    )
