from plastic.core.registry import Registry
from plastic.envs import hooks
from plastic.envs.atari import Atari
from plastic.envs.gymnasium_family import Gymnasium


def test_both_families_are_registered() -> None:
    registry = Registry()
    registry.add(hooks, "plastic-rl")
    assert registry.get("environment family", "atari") is Atari
    assert registry.get("environment family", "gymnasium") is Gymnasium


def test_no_task_belongs_to_two() -> None:
    families = (Atari(), Gymnasium())
    for task in (*families[0].tasks(), *families[1].tasks(), "pong", "cartpole", "pendulum"):
        assert sum(family.find(task) is not None for family in families) == 1
