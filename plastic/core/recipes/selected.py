"""Parts of a selection that select nothing, which are refused: `layers=encoder+nope`."""

from collections.abc import Sequence

from torch import nn

from plastic.core.agent import Agent
from plastic.core.errors import UsageError
from plastic.core.plugin import Plugin
from plastic.core.units.selection import unmatched

_OPTIONS = ("layers", "scope")  # those that may join several parts


def refuse_unmatched(agent: Agent) -> None:
    """Refuse a selection of which a part is in no network that its plugin acts on.

    In one of them is enough: of SAC's learners the critic alone has an encoder. A selection of one part is left to
    the plugin, which finds nothing to act on.

    Raises:
        UsageError: Naming the plugin and the part.
    """
    for plugin, option, pattern, networks in _selections(agent):
        found = unmatched(networks, pattern)
        if found is not None:
            part, instead = found
            raise UsageError(f"{plugin.name}: no parameters match {part!r} of {option}={pattern}; {instead}")


def _selections(agent: Agent) -> Sequence[tuple[Plugin, str, str, list[nn.Module]]]:
    """Each with the networks it selects from: those of all learners where such a plugin has it."""
    found: dict[tuple[type[Plugin], str, str], tuple[Plugin, str, str, list[nn.Module]]] = {}
    for learner in agent.learners.values():
        for plugin in learner.plugins:
            for option in _OPTIONS:
                pattern = getattr(plugin, option, None)
                if isinstance(pattern, str):
                    key = type(plugin), option, pattern
                    found.setdefault(key, (plugin, option, pattern, []))[3].append(learner.model)
    return list(found.values())
