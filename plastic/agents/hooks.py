"""The built-in agents come in by the same hook as anybody's."""

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.core.agent import Agent
from plastic.core.hookspecs import hookimpl


@hookimpl
def plastic_agents() -> list[type[Agent]]:
    """Rainbow."""
    return [Rainbow]
