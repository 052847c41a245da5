import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from plastic.core.agent import observations_of
from plastic.core.environment import Env
from plastic.core.errors import UsageError
from plastic.core.recipes import options
from plastic.envs.gymnasium_family import Gymnasium


class Drawn(gymnasium.Env[Any, Any]):
    """Observations are drawn from a space; every step is worth 1, the eighth ends the episode."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.observation_space = deepcopy(space)  # its stream is this environment's own
        self.drawn: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.drawn = [self.observation_space.sample()]
        return self.drawn[-1], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.drawn.append(self.observation_space.sample())
        return self.drawn[-1], 1.0, len(self.drawn) > 8, False, {}


Register = Callable[[Callable[..., Env]], str]


@pytest.fixture
def register() -> Iterator[Register]:
    """Registers an environment for the time of a test and gives its id."""
    made: list[str] = []

    def do(entry_point: Callable[..., Env]) -> str:
        made.append(f"test/Case{len(made)}-v0")
        gymnasium.register(made[-1], entry_point)
        return made[-1]

    yield do
    for name in made:
        del gymnasium.registry[name]


def bytes_of(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("task", "full"),
    [
        ("CartPole-v1", "CartPole-v1"),
        ("CartPole-v0", "CartPole-v0"),
        ("CartPole", "CartPole-v1"),
        ("cartpole", "CartPole-v1"),
        ("tabular/blackjack", "tabular/Blackjack-v0"),
        ("CartPole-v9", None),
        ("cartpole-v1", None),
        ("NoSuch-v0", None),
        ("pong", None),
        ("", None),
        ("nospace/CartPole-v1", None),
    ],
)
def test_names(task: str, full: str | None) -> None:
    assert Gymnasium().find(task) == full


def test_atari_has_a_family_of_its_own() -> None:
    importlib.import_module("ale_py")
    assert "ALE/Pong-v5" in gymnasium.registry
    family = Gymnasium()
    for task in ("ALE/Pong-v5", "PongNoFrameskip-v4", "Pong", "ale_py:ALE/Pong-v5"):
        assert family.find(task) is None
    assert not [task for task in family.tasks() if "Pong" in task]
    assert "CartPole-v1" in family.tasks()


def test_every_task_is_found() -> None:
    family = Gymnasium()
    assert all(family.find(task) == task for task in family.tasks())


MODULE = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Mine(CartPoleEnv):
    pass

def not_a_class():
    pass

gymnasium.register("Registered-v2", entry_point=Mine, max_episode_steps=7)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that registers an environment when it is imported, in the folder one stands in."""
    (tmp_path / "module_of_mine.py").write_text(MODULE)
    (tmp_path / "module_that_fails.py").write_text("raise RuntimeError('not\\ntoday')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    importlib.invalidate_caches()
    yield "module_of_mine"
    sys.modules.pop("module_of_mine", None)
    gymnasium.registry.pop("Registered-v2", None)


def test_an_id_that_a_module_registers(module: str) -> None:
    family = Gymnasium()
    assert family.find(f"{module}:Registered-v2") == f"{module}:Registered-v2"
    assert family.find(f"{module}:registered") == f"{module}:Registered-v2"
    env = family.make(f"{module}:Registered-v2")
    env.reset(seed=0)
    flags = [env.step(step % 2)[2:4] for step in range(7)]
    assert flags == [(False, False)] * 6 + [(False, True)]


def test_a_class_of_a_module(module: str) -> None:
    family = Gymnasium()
    assert family.find(f"{module}:Mine") == f"{module}:Mine"
    env = family.make(f"{module}:Mine")
    assert type(env.unwrapped).__name__ == "Mine"
    assert env.reset(seed=0)[0].shape == (4,)


def test_what_a_module_has_not(module: str) -> None:
    assert Gymnasium().find(f"{module}:Missing-v0") is None
    assert Gymnasium().find(f"{module}:not_a_class") is None


def test_a_module_that_cannot_be_imported(module: str) -> None:
    with pytest.raises(UsageError, match=r"^cannot load 'no_such_module:A-v0': No module named 'no_such_module'$"):
        Gymnasium().find("no_such_module:A-v0")
    with pytest.raises(UsageError, match=r"^cannot load 'module_that_fails:A-v0': not today$"):
        Gymnasium().find("module_that_fails:A-v0")


# ---------------------------------------------------------------- observations


def test_cartpole_is_as_it_is() -> None:
    env, bare = Gymnasium().make("CartPole-v1"), gymnasium.make("CartPole-v1")
    assert env.action_space == bare.action_space
    assert env.observation_space.shape == (4,)
    assert env.observation_space.dtype == np.float32
    np.testing.assert_array_equal(env.reset(seed=0)[0], bare.reset(seed=0)[0])
    for step in range(20):
        ours, *rest = env.step(step % 2)
        theirs, *expected = bare.step(step % 2)
        np.testing.assert_array_equal(ours, theirs)
        assert rest == expected
        if rest[1]:
            break


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (spaces.Discrete(5), lambda drawn: np.eye(5)[drawn]),
        (spaces.Discrete(5, start=3), lambda drawn: np.eye(5)[drawn - 3]),
        (spaces.Box(-1, 1, (2, 3), np.float64), lambda drawn: drawn.ravel()),
        (spaces.Box(-1e300, 1e300, (2,), np.float64), None),
        (spaces.MultiBinary(4), lambda drawn: drawn),
        (bytes_of(10, 10, 3), lambda drawn: drawn.ravel()),
        (bytes_of(35, 84, 3), lambda drawn: drawn.ravel()),
        (spaces.Box(0, 1, (84, 84, 3)), lambda drawn: drawn.ravel()),
        (
            spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1, (2,)))),
            lambda drawn: np.concatenate([np.eye(2)[drawn[0]], drawn[1]]),
        ),
        (
            spaces.Dict({"b": spaces.Box(0, 1, (2,)), "a": spaces.Discrete(3)}),
            lambda drawn: np.concatenate([np.eye(3)[drawn["a"]], drawn["b"]]),
        ),
    ],
)
def test_what_is_no_image_becomes_one_vector(
    space: spaces.Space[Any], expected: Callable[[Any], NDArray[Any]] | None, register: Register
) -> None:
    env = Gymnasium().make(register(lambda: Drawn(space)))
    if expected is None:  # bounds beyond float32: only the space is of interest
        assert env.observation_space.shape == (2,)
        return
    source = env.unwrapped
    assert isinstance(source, Drawn)
    for get in (lambda: env.reset(seed=0), lambda: env.step(0)):
        observation = get()[0]
        assert observation.dtype == np.float32
        np.testing.assert_array_equal(observation, expected(source.drawn[-1]).astype(np.float32))
        assert env.observation_space.contains(observation)
    assert observations_of(env.observation_space) == "vector"


@pytest.mark.parametrize(
    ("shape", "channels_first"),
    [
        ((96, 90, 3), lambda drawn: drawn.transpose(2, 0, 1)),
        ((36, 36, 4), lambda drawn: drawn.transpose(2, 0, 1)),
        ((3, 96, 90), lambda drawn: drawn),
        ((60, 70), lambda drawn: drawn[None]),
    ],
)
def test_images_come_channels_first(
    shape: tuple[int, ...], channels_first: Callable[[Any], NDArray[Any]], register: Register
) -> None:
    env = Gymnasium().make(register(lambda: Drawn(bytes_of(*shape))))
    source = env.unwrapped
    assert isinstance(source, Drawn)
    for get in (lambda: env.reset(seed=0), lambda: env.step(0)):
        observation = get()[0]
        np.testing.assert_array_equal(observation, channels_first(source.drawn[-1]))
        assert observation.dtype == np.uint8
        assert observation.flags.c_contiguous
        assert not np.shares_memory(observation, source.drawn[-1])
        assert env.observation_space.contains(observation)
    assert observations_of(env.observation_space) == "image"


@pytest.mark.parametrize("space", [bytes_of(40, 50, 3), spaces.Box(-1, 1, (4,))])
def test_a_stack_holds_the_last_observations_after_zeros(space: spaces.Box, register: Register) -> None:
    task = register(lambda: Drawn(space))
    bare, env = Gymnasium().make(task), Gymnasium(frame_stack=3).make(task)
    assert getattr(bare, "frame_stack", 1) == 1
    assert getattr(env, "frame_stack", 1) == 3
    assert env.observation_space.shape is not None
    assert bare.observation_space.shape is not None
    assert env.observation_space.shape[0] == 3 * bare.observation_space.shape[0]
    for seed in (0, 1):  # the second episode begins with zeros again
        first = bare.reset(seed=seed)[0]
        seen = [np.zeros_like(first), np.zeros_like(first), first]
        stacked = env.reset(seed=seed)[0]
        for _ in range(5):
            np.testing.assert_array_equal(stacked, np.concatenate(seen[-3:]))
            assert stacked.dtype == first.dtype
            assert env.observation_space.contains(stacked)
            seen.append(bare.step(0)[0])
            stacked = env.step(0)[0]


def test_what_an_environment_calls_frames_is_its_own_affair(register: Register) -> None:
    class Skipping(Drawn):
        frame_skip = 5
        frame_stack = 2

    env = Gymnasium().make(register(lambda: Skipping(spaces.Discrete(3))))
    assert env.get_wrapper_attr("frame_skip") == 1
    assert env.get_wrapper_attr("frame_stack") == 1


def test_observations_without_a_fixed_size(register: Register) -> None:
    with pytest.raises(UsageError, match=r"^the observations of test/Case0-v0 have no fixed size"):
        Gymnasium().make(register(lambda: Drawn(spaces.Sequence(spaces.Discrete(2)))))


# ---------------------------------------------------------------- episodes


@pytest.mark.parametrize(
    "task", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1", "Taxi-v4", "FrozenLake-v1", "Blackjack-v1"]
)
def test_a_seed_and_the_actions_rebuild_an_episode(task: str) -> None:
    family = Gymnasium()
    used, fresh = family.make(task), family.make(task)
    used.reset(seed=1)
    used.action_space.seed(0)
    actions = [used.action_space.sample() for _ in range(60)]
    for action in actions:
        if any(used.step(action)[2:4]):
            break
    found = []
    for env in (used, fresh):
        steps = [env.reset(seed=5)[0].tolist()]
        for action in actions:
            observation, *rest = env.step(action)
            steps.append([observation.tolist(), rest[:3]])
            if rest[1] or rest[2]:
                break
        found.append(steps)
    assert found[0] == found[1]


def test_seeds_differ() -> None:
    env = Gymnasium().make("CartPole-v1")
    assert (env.reset(seed=0)[0] != env.reset(seed=1)[0]).any()


def test_a_time_limit_truncates() -> None:
    env = Gymnasium().make("Pendulum-v1")
    env.reset(seed=0)
    action = np.zeros(1, np.float32)
    flags = [env.step(action)[2:4] for _ in range(200)]
    assert flags == [(False, False)] * 199 + [(False, True)]


def test_actions_are_left_alone() -> None:
    space = Gymnasium().make("Pendulum-v1").action_space
    assert space == gymnasium.make("Pendulum-v1").action_space
    assert isinstance(space, spaces.Box)


def test_evaluation_changes_nothing() -> None:
    env, other = Gymnasium().make("CartPole-v1"), Gymnasium().make("CartPole-v1", evaluation=True)
    np.testing.assert_array_equal(env.reset(seed=0)[0], other.reset(seed=0)[0])
    assert env.step(0)[1:] == other.step(0)[1:]


def test_there_is_no_common_scale() -> None:
    assert Gymnasium().normalise("CartPole-v1", 500) is None


# ---------------------------------------------------------------- errors


def test_gymnasiums_warnings_stay_with_it(register: Register) -> None:
    with pytest.warns(DeprecationWarning, match="out of date"):
        gymnasium.make("CartPole-v0")

    def noisy() -> Env:
        warnings.warn("made with a swig of old", DeprecationWarning, stacklevel=1)
        return Drawn(spaces.Discrete(2))

    for task in ("CartPole-v0", register(noisy)):
        env = Gymnasium().make(task)  # here warnings are errors
        env.reset(seed=0)
        env.step(0)


def test_no_environment_checker() -> None:
    env = Gymnasium().make("CartPole-v1")
    layers = []
    while env is not env.unwrapped:
        layers.append(type(env).__name__)
        env = env.env  # type: ignore[attr-defined]
    assert "TimeLimit" in layers
    assert "PassiveEnvChecker" not in layers


def test_an_unknown_id() -> None:
    with pytest.raises(UsageError, match=r"^no Gymnasium environment 'cartpol'; did you mean 'cartpole'\?$"):
        Gymnasium().make("cartpol")


def test_a_package_that_is_missing(register: Register) -> None:
    def needy() -> Env:
        raise gymnasium.error.DependencyNotInstalled("this needs\n  `pip install it`")

    with pytest.raises(UsageError, match=r"^cannot make test/Case0-v0: this needs `pip install it`$"):
        Gymnasium().make(register(needy))


def test_an_environment_that_fails_without_a_word(register: Register) -> None:
    def mute() -> Env:
        raise KeyError

    with pytest.raises(UsageError, match=r"^cannot make test/Case0-v0: KeyError$"):
        Gymnasium().make(register(mute))


def test_a_value_out_of_range() -> None:
    with pytest.raises(UsageError, match="frame_stack must be at least 1"):
        options.build(Gymnasium, {"frame_stack": 0}, "gymnasium")


@pytest.mark.parametrize(
    ("home", "package"),
    [
        ("gymnasium.envs.toy_text.such:Env", "'gymnasium[toy-text]'"),
        ("nowhere_else.such:Env", "imageio"),
    ],
)
def test_a_module_that_is_missing_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, home: str, package: str
) -> None:
    def make(*_: Any, **__: Any) -> Any:
        raise ModuleNotFoundError("No module named 'imageio.v2'", name="imageio.v2")

    monkeypatch.setitem(gymnasium.registry, "Such-v0", EnvSpec("Such-v0", entry_point=home))
    monkeypatch.setattr(gymnasium, "make", make)
    with pytest.raises(UsageError) as caught:
        Gymnasium().make("Such-v0")
    assert str(caught.value) == (
        f"cannot make Such-v0: No module named 'imageio.v2'; install what it needs, as by: pip install {package}"
    )
