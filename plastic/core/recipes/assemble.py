"""From a recipe to everything a run needs, or one sentence why not."""

import gc
import os
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import gymnasium
import torch
from attrs import evolve, frozen

from plastic.core.agent import Agent, Site, observations_of
from plastic.core.environment import Env, EnvFamily
from plastic.core.errors import NothingToActOn, UsageError, suggestion
from plastic.core.plugin import Plugin
from plastic.core.recipes import options, presets
from plastic.core.recipes.addressing import Addressed, learners_of, refuse_conflicts
from plastic.core.recipes.inert import refuse_inert
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from plastic.core.recipes.selected import refuse_unmatched
from plastic.core.recipes.settings import Settings
from plastic.core.recording.cuda_graphs import CudaGraphs
from plastic.core.recording.programs import Programs
from plastic.core.runs.replay_ratio import Owed
from plastic.core.schedule import Clock, Counts

_NEAR = 0.6  # the likeness of names, from 0 to 1, above which one may be meant by the other


@frozen(eq=False)
class Assembly:
    """A run that could begin; the recipe in it says every value."""

    recipe: Recipe
    preset: str
    settings: Settings
    family: EnvFamily
    env: Env
    agent: Agent
    plugins: Sequence[Addressed]
    clock: Clock
    owed: Owed  # to the replay ratio, by that clock

    @property
    def games(self) -> int:
        """Of each evaluation of the run; 0 if it has none."""
        said = self.settings.eval_episodes
        return self.family.eval_episodes if said is None else said

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
    family_class, task = find_task(recipe.env or agent_class.environment, registry)
    mine, agents, envs = _sort_settings(recipe.settings, agent_class, family_class)
    settings: Settings = options.build(Settings, mine, "run")
    family, env, name = _environment(family_class, task, envs, agent_class, recipe.preset)
    preset = presets.find_preset(agent_class, name, observations_of(env.observation_space))
    known = presets.of_task(agent_class, task, name)
    chosen = presets.plugins_of(preset, known, recipe.plugins)
    wanted = {**preset.settings, **presets.settings_of(known), **agents}
    classes: list[type[Plugin]] = [registry.find("plugin", one.name) for one in chosen]
    agent, plugins, owed = _Beginning(recipe, agent_class, wanted, agents, chosen, classes, env, device).begun()
    turned = {knob for plugin in plugins for knob in plugin.example.turns}
    if not options.fields(agent_class).keys() <= agents.keys():
        # a recipe that says every setting was looked at when its run began: no rule of today takes it from its user
        refuse_inert(agent, agents, observations_of(env.observation_space), task, turned)
        refuse_unmatched(agent)
    if settings.capture:
        agent.be_recorded(CudaGraphs(device) if device.type == "cuda" else Programs())
    resolved = evolve(
        recipe,
        env=task,
        preset="none",
        settings={**options.values(settings), **options.values(family), **options.values(agent)},
        plugins=tuple(
            Chosen(one.name, options.values(plugin.example), plugin.on if len(agent.learns) > 1 else None)
            for one, plugin in zip(chosen, plugins, strict=True)
        ),
    )
    return Assembly(resolved, name, settings, family, env, agent, plugins, owed.clock, owed)


def _environment(
    family: type[EnvFamily], task: str, said: Mapping[str, Any], agent: type[Agent], preset: str | None
) -> tuple[EnvFamily, Env, str]:
    """The family with all its settings, an environment, and the preset's name."""
    if preset is None and len(agent.defaults) == 1:
        (preset,) = agent.defaults.values()
    made = _made(family, said, task) if preset is None else None
    if made is not None:
        observations = observations_of(made[1].observation_space)
        preset = agent.defaults.get(observations)
        if preset is None:
            raise UsageError(
                f"{agent.name} has no preset for {observations}s, which {task} gives; name one by --preset"
            )
    assert preset is not None
    named = agent.presets.get(preset)
    own = {} if named is None else named.environment.get(family.name, {})
    if made is None or own:
        if made is not None:
            made[1].close()
        try:
            made = _made(family, {**own, **said}, task)
        except UsageError:
            if own.items() <= {**own, **said}.items():
                raise
            made = _made(family, said, task)  # the user overrode what the preset is for: let that be said, not this
    return *made, preset


def _made(family: type[EnvFamily], settings: Mapping[str, Any], task: str) -> tuple[EnvFamily, Env]:
    one: EnvFamily = options.build(family, settings, family.name)
    env = one.make(task)
    if not isinstance(env.observation_space, gymnasium.spaces.Box):
        raise UsageError(f"{task} gives observations of {env.observation_space}; agents need arrays, a Box")
    return one, env


@frozen(eq=False)
class _Beginning:
    """What an agent and its plugins begin with, before it is known where each plugin finds something to act on."""

    recipe: Recipe
    agent: type[Agent]
    settings: Mapping[str, Any]  # the agent's: of the preset, the task and the user
    said: Mapping[str, Any]  # of these, the user's
    chosen: Sequence[Chosen]
    classes: Sequence[type[Plugin]]  # of the chosen
    env: Env
    device: torch.device

    def begun(self) -> tuple[Agent, Sequence[Addressed], Owed]:
        """The agent at work, with each plugin on every learner where it finds something to act on; the updates owed."""
        addresses = [learners_of(cls, one.on, self.agent) for cls, one in zip(self.classes, self.chosen, strict=True)]
        while (begun := self._tried(addresses)) is None:
            gc.collect()  # what was tried refers to itself, and its replay may be most of a GPU's memory
        return begun

    def _tried(self, addresses: Sequence[list[str]]) -> tuple[Agent, Sequence[Addressed], Owed] | None:
        """None where a plugin found nothing on a learner, which is then no longer among its addresses."""
        plugins = self._plugins(addresses)  # anew each time, as the agent: what began has state
        refuse_conflicts(plugins)
        agent = self._made(plugins)
        owed = _owed(self.recipe.steps, agent, frame_skip(self.env))
        try:
            agent.begin(self._site(plugins, owed.clock))
        except NothingToActOn as error:
            there = [one.instances.get(error.learner) for one in plugins]
            place = next(place for place, plugin in enumerate(there) if plugin is error.plugin)
            if self.chosen[place].on is not None or len(addresses[place]) == 1:
                raise
            addresses[place].remove(error.learner)
            return None
        return agent, plugins, owed

    def _plugins(self, addresses: Sequence[Sequence[str]]) -> list[Addressed]:
        return [
            Addressed({name: options.build(cls, one.options, one.name) for name in names})
            for cls, one, names in zip(self.classes, self.chosen, addresses, strict=True)
        ]

    def _made(self, plugins: Sequence[Addressed]) -> Agent:
        """The agent, with the settings that plugins start from."""
        starts: dict[str, Any] = {}
        for one in plugins:
            for name, value in one.example.settings().items():
                if self.said.get(name, value) != value:
                    raise UsageError(
                        f"{one.example.name} starts from {name}={value}, and you say {self.said[name]}; leave it out"
                    )
                starts[name] = value
        agent: Agent = options.build(self.agent, {**self.settings, **starts}, self.recipe.agent)
        return agent

    def _site(self, plugins: Sequence[Addressed], clock: Clock) -> Site:
        assert isinstance(self.env.observation_space, gymnasium.spaces.Box)
        return Site(
            observation_space=self.env.observation_space,
            action_space=self.env.action_space,
            frame_stack=_attribute(self.env, "frame_stack"),
            frame_pad=self.env.get_wrapper_attr("frame_pad") if self.env.has_wrapper_attr("frame_pad") else "zeros",
            plugins={
                name: [one.instances[name] for one in plugins if name in one.instances] for name in self.agent.learns
            },
            clock=clock,
            seed=self.recipe.seed,
            device=self.device,
        )


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
    if device.type == "cuda":
        _be_repeatable()
        if device.index is not None:
            torch.cuda.set_device(device)  # what PyTorch makes for a generator in a graph lies on the current one
    return device


def _be_repeatable() -> None:
    """Have CUDA's libraries add up in the same order each time, so that the same run is the same run again.

    And in single precision, as on a CPU and as the agents of the papers. PyTorch leaves products of matrices alone, but
    has convolutions in TF32, with 10 bits of mantissa; whoever wants that sets `torch.backends.cudnn.allow_tf32` behind
    `assemble`.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read before the first product
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False


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
    wanted = _bare(task)
    near = [name for name in known if SequenceMatcher(None, wanted, _bare(name)).ratio() > _NEAR]
    hint = suggestion(task, [*near, *map(_bare, near)]) if near else f"known: {', '.join(sorted(known)) or 'none'}"
    raise UsageError(f"no environment {task!r}; {hint}{registry.failures()}")


def _bare(task: str) -> str:
    """Without namespace and version, which make strangers alike."""
    return task.rpartition("/")[2].partition("-v")[0].lower()


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


def frame_skip(env: Env) -> int:
    """Frames of an agent step."""
    return _attribute(env, "frame_skip")


def _attribute(env: Env, name: str) -> int:
    return int(env.get_wrapper_attr(name)) if env.has_wrapper_attr(name) else 1


def _owed(steps: int, agent: Agent, skip: int) -> Owed:
    """Nothing yet; its clock knows how long the run will be."""
    clock = Clock(total=Counts(agent_steps=steps, frames=steps * skip))
    owed = Owed(clock, agent.learning_starts, agent.replay_ratio)
    owed.reckon()
    return owed
