from plastic.core.recipes.registry import Registry
from plastic.envs import hooks
from plastic.envs.atari import Atari
from plastic.envs.dm_control import DmControl
from plastic.envs.dm_control_tasks import TASKS
from plastic.envs.gymnasium_family import Gymnasium


def test_the_families_are_registered() -> None:
    registry = Registry()
    registry.add(hooks, "plastic-rl")
    assert registry.get("environment family", "atari") is Atari
    assert registry.get("environment family", "dm_control") is DmControl
    assert registry.get("environment family", "gymnasium") is Gymnasium


def test_no_task_belongs_to_two() -> None:
    families = (Atari(), DmControl(), Gymnasium())
    ids = [task for family in families for task in family.tasks()]
    for task in (*ids, *TASKS, "pong", "cartpole", "pendulum", "acrobot", "swimmer", "humanoid"):
        assert sum(family.find(task) is not None for family in families) == 1
