"""The built-in agents come in by the same hook as anybody's."""

from plastic.agents.drqv2.drqv2 import DrQv2
from plastic.agents.rainbow.rainbow import Rainbow
from plastic.agents.sac.sac import SAC
from plastic.core.agent import Agent
from plastic.core.hookspecs import hookimpl


@hookimpl
def plastic_agents() -> list[type[Agent]]:
    """Rainbow for discrete actions, SAC and DrQ-v2 for continuous ones."""
    return [Rainbow, SAC, DrQv2]
