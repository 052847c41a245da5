"""What holds for the presets of every agent."""

import pytest

from plastic.core.agent import Agent
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Recipe
from plastic.core.recipes.registry import Registry

REGISTRY = Registry().load()
AGENTS: dict[str, type[Agent]] = {name: REGISTRY.find("agent", name) for name in ("rainbow", "sac", "drqv2")}
VECTORS = {"rainbow": "CartPole-v1", "sac": "Pendulum-v1"}


@pytest.mark.parametrize(("name", "preset"), [(name, preset) for name, cls in AGENTS.items() for preset in cls.presets])
def test_what_a_preset_resolves_to_can_be_said_whole(name: str, preset: str) -> None:
    images = AGENTS[name].presets[preset].observations == "image"
    recipe = Recipe(
        agent=name,
        env=AGENTS[name].environment if images else VECTORS[name],
        preset=preset,
        settings={"hidden": 8, "replay_capacity": 1_000},
    )
    resolved = assemble(recipe, REGISTRY).recipe
    assert assemble(resolved, REGISTRY).recipe == resolved
