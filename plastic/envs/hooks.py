"""The built-in families of environments come in by the same hook as anybody's."""

from plastic.core.environment import EnvFamily
from plastic.core.hookspecs import hookimpl
from plastic.envs.atari import Atari
from plastic.envs.dm_control import DmControl
from plastic.envs.gymnasium_family import Gymnasium


@hookimpl
def plastic_envs() -> list[type[EnvFamily]]:
    """Atari, the DeepMind Control suite, and whatever else Gymnasium knows."""
    return [Atari, DmControl, Gymnasium]
