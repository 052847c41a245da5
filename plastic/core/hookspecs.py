"""Everything that can be extended: a package gives classes by these hooks, by an entry point in group `plastic`."""

from collections.abc import Sequence

import pluggy

from plastic.core.agent import Agent
from plastic.core.environment import EnvFamily
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import OptimizerModifier
from plastic.core.probe import Probe

GROUP = "plastic"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def plastic_modifiers() -> Sequence[type[OptimizerModifier]]:  # type: ignore[empty-body]
    """Optimizer modifiers."""


@hookspec
def plastic_interventions() -> Sequence[type[PlasticityIntervention]]:  # type: ignore[empty-body]
    """Plasticity interventions."""


@hookspec
def plastic_probes() -> Sequence[type[Probe]]:  # type: ignore[empty-body]
    """Probes."""


@hookspec
def plastic_agents() -> Sequence[type[Agent]]:  # type: ignore[empty-body]
    """Agents."""


@hookspec
def plastic_envs() -> Sequence[type[EnvFamily]]:  # type: ignore[empty-body]
    """Families of environments."""
