"""Everything that can be extended."""

import inspect
from types import SimpleNamespace

import pytest

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.core import hookspecs
from plastic.core.recipes import registry
from plastic.core.recipes.registry import Kind, Registry
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.probes.weight_norm import WeightNorm
from tests.core.games import Games

GIVEN: dict[str, tuple[Kind, type]] = {
    "plastic_modifiers": ("plugin", SAM),
    "plastic_interventions": ("plugin", Reset),
    "plastic_probes": ("plugin", WeightNorm),
    "plastic_agents": ("agent", Rainbow),
    "plastic_envs": ("environment family", Games),
}
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("plastic_")}


def test_every_hook_is_asked_and_tested() -> None:
    assert HOOKS.keys() == registry._HOOKS.keys() == GIVEN.keys()


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_hook_says_what_it_is_for(name: str) -> None:
    assert inspect.getdoc(HOOKS[name])
    assert inspect.signature(HOOKS[name]).parameters.keys() == set()


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_what_a_hook_gives_is_known_by_its_name(name: str) -> None:
    kind, cls = GIVEN[name]

    def hook() -> list[type]:
        return [cls]

    hook.__name__ = name
    known = Registry()
    known.add(SimpleNamespace(**{name: hookspecs.hookimpl(hook)}), "mine")
    assert known.get(kind, cls.name) is cls  # type: ignore[attr-defined]
