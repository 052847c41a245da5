"""What the user said to no effect, which is refused."""

from collections.abc import Collection, Mapping
from typing import Any

from plastic.core.agent import Agent, Observations
from plastic.core.errors import UsageError
from plastic.core.recipes.options import default_of, fields


def only_for(observations: Observations) -> Mapping[str, Any]:
    """Metadata of a setting that means something for these observations alone.

    >>> only_for("image")
    {'only_for': 'image'}
    """
    return {"only_for": observations}


def unless(**others: Any) -> Mapping[str, Any]:
    """Metadata of a setting that means nothing where another one has this value.

    >>> unless(noisy=False)
    {'unless': {'noisy': False}}
    """
    return {"unless": others}


def refuse_inert(
    agent: Agent, said: Collection[str], observations: Observations, task: str, turned: Collection[str]
) -> None:
    """Refuse what the user set to no effect. A default may be said anywhere.

    Args:
        agent: At work, with all its settings.
        said: Names of those that the user gave.
        observations: What the task gives.
        task: Its name.
        turned: Knobs that plugins turn while running; nothing is without effect for the value one has at first.

    Raises:
        UsageError: Naming the setting and the reason.
    """
    known = fields(type(agent))
    for name in said:
        field = known[name]
        if getattr(agent, name) == default_of(field):
            continue
        kind = field.metadata.get("only_for", observations)
        if kind != observations:
            raise UsageError(f"{agent.name}: {name} is for {kind}s, and {task} gives {observations}s; leave it out")
        for other, value in field.metadata.get("unless", {}).items():
            if other not in turned and getattr(agent, other) == value:
                shown = str(value).lower() if isinstance(value, bool) else value
                raise UsageError(f"{agent.name}: {name} changes nothing with {other}={shown}; leave out one of them")
