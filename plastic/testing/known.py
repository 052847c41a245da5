"""A registry of what is built in, for trials: installed packages are left out, and classes of one's own go in."""

from collections.abc import Sequence

from plastic.agents import hooks as agents
from plastic.core.agent import Agent
from plastic.core.environment import EnvFamily
from plastic.core.hookspecs import hookimpl
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import OptimizerModifier
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.recipes.registry import Registry
from plastic.plugins import hooks as plugins
from plastic.testing.noise import Noises
from plastic.testing.plain import Plain

OURS = "plastic-rl"


class _Hooks:
    @staticmethod
    @hookimpl
    def plastic_agents() -> list[type[Agent]]:
        return [Plain]

    @staticmethod
    @hookimpl
    def plastic_envs() -> list[type[EnvFamily]]:
        return [Noises]


def built_in(*classes: type[Plugin], package: str = "yours") -> Registry:
    """The built-in plugins and agents, tasks of noise, and these classes, which must be sound for a registry.

    Raises:
        UsageError: If one of the classes is refused.
    """
    known = Registry()
    known.add(plugins, OURS)
    known.add(agents, OURS)
    known.add(_Hooks, "plastic.testing")
    there = {entry.cls for entry in known.all("plugin").values()}
    new = [cls for cls in dict.fromkeys(classes) if cls not in there]
    if new:
        known.add(_Given(new), package)
    return known


class _Given:
    """The hooks of a package of these classes."""

    def __init__(self, classes: Sequence[type[Plugin]]) -> None:
        self._classes = classes

    @hookimpl
    def plastic_modifiers(self) -> list[type[OptimizerModifier]]:
        return [cls for cls in self._classes if issubclass(cls, OptimizerModifier)]

    @hookimpl
    def plastic_interventions(self) -> list[type[PlasticityIntervention]]:
        return [cls for cls in self._classes if issubclass(cls, PlasticityIntervention)]

    @hookimpl
    def plastic_probes(self) -> list[type[Probe]]:
        return [cls for cls in self._classes if issubclass(cls, Probe)]
