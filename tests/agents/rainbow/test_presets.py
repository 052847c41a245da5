"""The presets against tables written from the papers and their code, and what they assemble to."""

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import gymnasium
import numpy as np
import pytest
from attrs import frozen

from plastic.agents.rainbow.presets import DEFAULTS, PRESETS
from plastic.agents.rainbow.rainbow import Rainbow
from plastic.core.environment import Env, EnvFamily
from plastic.core.errors import UsageError
from plastic.core.hookspecs import hookimpl
from plastic.core.recipes import options
from plastic.core.recipes.assemble import Assembly, assemble
from plastic.core.recipes.recipe import Recipe
from plastic.core.recipes.registry import Registry

# Table 4 of Lee et al. (2023, arXiv:2306.10711), completed from the released code
DRQ: Mapping[str, Any] = {
    "encoder": "nature",
    "hidden": 512,
    "noisy": True,
    "noisy_sigma": 0.5,
    "dueling": True,
    "double": True,
    "atoms": 51,
    "v_min": -10.0,
    "v_max": 10.0,
    "n_step": 10,
    "discount": 0.99,
    "batch_size": 32,
    "replay_ratio": 2.0,
    "replay_capacity": 100_000,
    "learning_starts": 2_000,
    "priority_exponent": 0.5,
    "priority_weight": 0.4,
    "learning_rate": 1e-4,
    "adam_eps": 1.5e-4,
    "max_grad_norm": 10.0,
    "target_rate": 0.01,
    "target_period": 1,
    "acting": "target",
    "epsilon": 0.0,
    "epsilon_evaluation": 0.001,
    "augmentation": True,
    "shift": 4,
    "intensity": 0.05,
    "probe_batch": 512,
}
# What differs from it: `der` has no augmentation; `der-classic` is as Dopamine's DER.gin
DIFFERENT: Mapping[str, Mapping[str, Any]] = {
    "drq": {},
    "der": {"augmentation": False},
    "der-classic": {
        "augmentation": False,
        "replay_ratio": 1.0,
        "learning_starts": 1_600,
        "n_step": 10,
        "target_rate": 1.0,
        "target_period": 2_000,
        "acting": "online",
        "epsilon": 0.01,
        "epsilon_evaluation": 0.001,
    },
    "plastic": {},
    "plastic-dagger": {},
    "sam-reset": {},
    "v1-ours": {},
}
RESET = {"layers": "head", "optimizer": "all", "when": {"every": 40_000, "of": "updates"}}
SAM = {"rho": 0.1, "redraw": "noise+augmentation+target", "priority": "perturbed", "noiseless": False}
SAM |= {"adaptive": False, "when": "always"}
PLUGINS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "drq": {},
    "der": {},
    "der-classic": {},
    "sam-reset": {"sam": SAM | {"scope": "whole"}, "reset": RESET},
    "v1-ours": {
        "sam": SAM | {"scope": "whole"},
        "reset": RESET,
        "shrink_perturb": {"shrink": 0.8, "perturb": "none", "noise": "fresh", "layers": "encoder"}
        | {"moments": "clear", "when": RESET["when"]},
    },
    "plastic": {
        "crelu": {"layers": "head", "style": "output"},
        "layer_norm": {"layers": "encoder", "axes": "channel", "affine": True},
        "sam": SAM | {"scope": "encoder"},
        "reset": RESET,
    },
    "plastic-dagger": {"layer_norm": {"layers": "encoder", "axes": "channel", "affine": True}, "reset": RESET},
    "classic": {},
}


class Still(gymnasium.Env[Any, Any]):
    """Observations that never change, in four actions."""

    frame_stack = 4

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        self.observation_space = space
        self.action_space = gymnasium.spaces.Discrete(4)


@frozen
class Stills(EnvFamily):
    name = "stills"

    def tasks(self) -> list[str]:
        return ["frames", "numbers"]

    def find(self, task: str) -> str | None:
        return task if task in self.tasks() else None

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        spaces = gymnasium.spaces
        bytes_, vectors = spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Box(-1, 1, (4,), np.float32)
        return Still(bytes_ if task == "frames" else vectors)


class Hooks:
    @staticmethod
    @hookimpl
    def plastic_envs() -> list[type[EnvFamily]]:
        return [Stills]


@cache
def registry() -> Registry:
    found = Registry()
    for part in ("plastic.plugins.hooks", "plastic.agents.hooks"):
        found.add(importlib.import_module(part), "plastic-rl")
    found.add(Hooks, "stills")
    return found


def assembled(preset: str | None, task: str = "frames", **settings: Any) -> Assembly:
    small = {"replay_capacity": 1_000} | settings  # nothing is played
    return assemble(Recipe(env=task, preset=preset, settings=small), registry())


def parameters(assembly: Assembly) -> int:
    model = assembly.agent.learners["rainbow"].model
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_value_is_the_papers(name: str) -> None:
    agent = options.build(Rainbow, PRESETS[name].settings, name)
    assert options.values(agent) == {**DRQ, **DIFFERENT[name]}
    assert PRESETS[name].observations == "image"
    assert PRESETS[name].source


def test_classic_is_for_vectors_and_fits_classic_control() -> None:
    agent = options.build(Rainbow, PRESETS["classic"].settings, "classic")
    assert PRESETS["classic"].observations == "vector"
    assert (agent.replay_ratio, agent.learning_starts, agent.hidden) == (1.0, 500, 128)
    assert agent.v_min <= 0
    assert agent.v_max >= (1 - 0.99**500) / (1 - 0.99)  # the return of a full CartPole game


def test_there_are_no_others() -> None:
    assert PRESETS.keys() == {*DIFFERENT, "classic"} == PLUGINS.keys()


def test_defaults_go_by_observation() -> None:
    assert DEFAULTS == {"image": "drq", "vector": "classic"}
    assert options.values(Rainbow()) == DRQ
    assert assembled(None, hidden=8).preset == "drq"
    assert assembled(None, "numbers").preset == "classic"


@pytest.mark.parametrize("name", PRESETS)
def test_each_assembles_with_the_plugins_of_the_paper(name: str) -> None:
    assembly = assembled(name, "numbers" if name == "classic" else "frames", hidden=8)
    plugins = [chosen.instances["rainbow"] for chosen in assembly.plugins]
    assert {plugin.name: options.values(plugin) for plugin in plugins} == PLUGINS[name]
    learner = assembly.agent.learners["rainbow"]
    assert list(learner.plugins) == plugins
    assert learner.copies.keys() == {"target"}
    assert assembly.recipe.preset == "none"  # every value is written out
    again = assemble(assembly.recipe, registry())
    assert again.recipe == assembly.recipe


# 6.8 million in the table 3 of Lee et al. (2023) is the head of ReLUs; the one of CReLUs is half as wide.
@pytest.mark.parametrize(("name", "millions"), [("drq", 6.76), ("v1-ours", 6.76), ("plastic", 3.55)])
def test_as_many_parameters_as_the_paper_says(name: str, millions: float) -> None:
    assert round(parameters(assembled(name)) / 1e6, 2) == millions


# After these agent steps the released Atari code of Lee et al. (2023) resets, at each replay ratio.
RESETS = {
    1: [41_999, 81_999],
    2: [21_999, 41_999, 61_999, 81_999],
    4: list(range(11_999, 100_000, 10_000)),
    8: list(range(6_999, 100_000, 5_000)),
}


@pytest.mark.parametrize("ratio", RESETS)
def test_resets_come_when_the_released_code_has_them(ratio: int) -> None:
    assembly = assembled("sam-reset", hidden=8, replay_ratio=float(ratio))
    clock = assembly.clock
    assert clock.total.updates == 98_001 * ratio
    reset = next(chosen.example for chosen in assembly.plugins if chosen.example.name == "reset")
    due = []
    while clock.now.updates < clock.total.updates:
        clock.advance(updates=min(1_000, clock.total.updates - clock.now.updates))
        if reset.due(clock) and not clock.last_update:
            due.append(2_000 + (clock.now.updates - 1) // ratio)  # the first updates follow step 2,000
        clock.tick()
    assert due == RESETS[ratio]
    assert len(due) == {1: 2, 2: 4, 4: 9, 8: 19}[ratio]


@pytest.mark.parametrize(("name", "task"), [("drq", "numbers"), ("classic", "frames")])
def test_a_preset_for_other_observations_is_refused(name: str, task: str) -> None:
    with pytest.raises(UsageError, match=f"the preset '{name}' is for"):
        assembled(name, task)
