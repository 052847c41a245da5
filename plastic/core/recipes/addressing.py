"""Which of an agent's networks a plugin acts on: `sam:on=critic`."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from attrs import frozen

from plastic.core.errors import UsageError, suggestion
from plastic.core.intervention import BUILD_STAGES, PlasticityIntervention
from plastic.core.modifier import MODIFIER_STAGES, OptimizerModifier
from plastic.core.plugin import Plugin

if TYPE_CHECKING:
    from plastic.core.agent import Agent


@frozen(eq=False)
class Addressed:
    """A plugin that was chosen: an instance of its own for each learner it acts on, options alike."""

    instances: Mapping[str, Plugin]

    @property
    def example(self) -> Plugin:
        """One of the instances, to read options from."""
        return next(iter(self.instances.values()))

    @property
    def on(self) -> str:
        """The learners' names, as they are typed."""
        return "+".join(self.instances)


def learners_of(plugin: type[Plugin], on: str | None, agent: "type[Agent]") -> list[str]:
    """The names of the learners that a plugin acts on, in the agent's order.

    Args:
        plugin: Its class, which says how far it reaches.
        on: Learners' names joined by `+`; `both` are all networks, and `all` all learners. None is the
            plugin's own choice.
        agent: Whose learners.

    Raises:
        UsageError: If there is no such learner, or the plugin never acts on it.
    """
    networks = [name for name in agent.learns if name not in agent.scalars]
    everything = list(agent.learns)
    reached = everything if plugin.reach == "everything" else networks
    if on is None:
        return reached[:1] if plugin.reach == "main" else reached
    words = {"both": networks, "all": reached}
    named: set[str] = set()
    for word in on.split("+"):
        if word not in everything and word not in words:
            raise UsageError(f"{plugin.name}: {agent.name} has no {word!r} to act on; {suggestion(word, everything)}")
        named.update(words.get(word, [word]))
    for name in sorted(named.difference(reached)):
        use = " or ".join(networks)
        raise UsageError(f"{plugin.name} acts on networks, and {agent.name}'s {name} is a single number; use {use}")
    return [name for name in everything if name in named]


def refuse_conflicts(plugins: Sequence[Addressed]) -> None:
    """Refuse two plugins that claim the same thing of one learner, turn the same knob of the run, or share a name.

    Raises:
        UsageError: Naming both, and what they claim.
    """
    for chosen in plugins:
        if chosen.example.turns and len(chosen.instances) > 1:
            knob = min(chosen.example.turns)
            raise UsageError(f"{chosen.example.name} turns the {knob}, of which there is one; address one learner")
    for first, second in combinations(plugins, 2):
        one, other = first.example, second.example
        if one.name == other.name and type(one) is not type(other):
            places = " and ".join(f"{type(plugin).__module__}:{type(plugin).__name__}" for plugin in (one, other))
            raise UsageError(f"two plugins are called {one.name!r}, {places}; rename one")
        shared = one.turns & other.turns
        if first.instances.keys() & second.instances.keys():
            shared |= one.claimed() & other.claimed()
        if shared:
            again = (
                f"{one.name!r} is there twice and claims"
                if one.name == other.name
                else f"{one.name!r} and {other.name!r} both claim"
            )
            raise UsageError(f"{again} the {min(shared)}; choose one")


def in_order_of_effect(plugins: Sequence[Addressed]) -> list[Addressed]:
    """Plugins by the stage they act in, the user's order within one: build, gradients, edits, probes."""

    def stage(chosen: Addressed) -> int:
        plugin = chosen.example
        if isinstance(plugin, PlasticityIntervention):
            built = plugin.overrides("build")
            return BUILD_STAGES.index(plugin.stage) if built else 20
        if isinstance(plugin, OptimizerModifier):
            return 10 + MODIFIER_STAGES.index(plugin.stage)
        return 30

    return sorted(plugins, key=stage)
