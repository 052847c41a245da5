"""Every other environment that Gymnasium knows, made to fit: images as CHW, all else as one vector."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from attrs import field, frozen
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from plastic.core.environment import Env, EnvFamily
from plastic.core.errors import UsageError, suggestion
from plastic.core.validators import between

# The shortest side of an image that three convolutions of 8, 4 and 3 pixels at strides 4, 2 and 1 can take
_SMALLEST_IMAGE = 36

# Folders of Gymnasium's own environments, and the extras that bring what they import
_EXTRAS = {"mujoco": "mujoco", "box2d": "box2d", "classic_control": "classic-control", "toy_text": "toy-text"}


@frozen
class Gymnasium(EnvFamily):
    """Any other registered Gymnasium environment, its rewards and time limit as they are.

    Observations of bytes with an image's axes, both sides at least 36, stay bytes, channels first. Everything
    else becomes one float32 vector: boxes flattened, discrete values one-hot, dictionaries and tuples in a
    row. Actions are left alone.

    Attributes:
        frame_stack: Steps whose observations make one, the newest last; zeros before the start.
    """

    name = "gymnasium"

    frame_stack: int = field(default=1, validator=between(1))

    def tasks(self) -> Sequence[str]:
        """Of everything registered so far."""
        return sorted(spec.id for spec in _specs())

    def find(self, task: str) -> str | None:
        """An id, as `CartPole-v1`, or an id without its version in any case, `cartpole`, for the newest.

        `module:id` imports the module, which registers the id; `module:Name` is an environment class of it.

        Raises:
            UsageError: If the module cannot be imported.
        """
        module, colon, name = task.rpartition(":")
        if not colon:
            return _registered(name)
        known = _imported(module, task)
        found = _registered(name)
        if found is not None:
            return f"{module}:{found}"
        return task if _is_class(getattr(known, name, None)) else None

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        """The environment; evaluation changes nothing.

        Raises:
            UsageError: If there is none of this name, a package it needs is missing, or its observations
                are neither images nor fit into a vector.
        """
        full = self.find(task)
        if full is None:
            known = {_without_version(spec) for spec in _specs()}
            raise UsageError(f"no Gymnasium environment {task!r}; {suggestion(task.lower(), known)}")
        with warnings.catch_warnings(action="ignore"):  # that there is a newer version, say
            try:
                bare = _make(full)
            except ModuleNotFoundError as error:
                raise UsageError(f"cannot make {full}: {_one_line(error)}; {_install(full, error.name)}") from error
            except Exception as error:  # whatever a foreign environment raises when it cannot be built
                raise UsageError(f"cannot make {full}: {_one_line(error)}") from error
            return Stacked(_arranged(bare, full), self.frame_stack)


class Stacked(gymnasium.Wrapper[NDArray[Any], Any, NDArray[Any], Any]):
    """The last observations of an episode one after the other on the first axis, zeros before its start."""

    def __init__(self, env: Env, frame_stack: int) -> None:
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, spaces.Box)
        # Said here, so that nobody reads the attributes of the same names that environments have for themselves
        self.frame_stack = frame_stack
        self.frame_skip = 1
        low, high = (np.concatenate([bound] * frame_stack) for bound in (space.low, space.high))
        self.observation_space = spaces.Box(low, high, dtype=space.dtype.type)
        self._observation = np.zeros_like(low)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._observation = np.zeros_like(self._observation)
        return self._push(observation), info

    def step(self, action: Any) -> tuple[NDArray[Any], Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._push(observation), reward, terminated, truncated, info

    def _push(self, newest: NDArray[Any]) -> NDArray[Any]:
        self._observation = np.concatenate([self._observation[len(newest) :], newest])
        return self._observation


def _specs() -> Iterator[EnvSpec]:
    # Once ale-py is imported its games are registered too, but they have rules and a family of their own
    return (spec for spec in gymnasium.registry.values() if not str(spec.entry_point).startswith("ale_py."))


def _registered(name: str) -> str | None:
    known = {spec.id: spec for spec in _specs()}
    if name in known:
        return name
    versions = [spec for spec in known.values() if _without_version(spec) == name.lower()]
    return max(versions, key=lambda spec: spec.version or 0).id if versions else None


def _without_version(spec: EnvSpec) -> str:
    return (f"{spec.namespace}/{spec.name}" if spec.namespace else spec.name).lower()


def _imported(module: str, task: str) -> object:
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does: a module in the folder one stands in
    try:
        return import_module(module)
    except Exception as error:  # whatever a foreign module raises on import
        raise UsageError(f"cannot load {task!r}: {_one_line(error)}") from error


def _is_class(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, gymnasium.Env)


def _make(full: str) -> Env:
    module, _, name = full.rpartition(":")
    if module and _registered(name) is None:
        env: Env = getattr(import_module(module), name)()
        return env
    return gymnasium.make(full, disable_env_checker=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _install(full: str, module: str | None) -> str:
    """What to install where a module is missing."""
    spec = gymnasium.registry.get(full)
    home = "" if spec is None else str(spec.entry_point).removeprefix("gymnasium.envs.").partition(".")[0]
    package = f"'gymnasium[{_EXTRAS[home]}]'" if home in _EXTRAS else (module or "").partition(".")[0]
    return f"install what it needs, as by: pip install {package}"


def _arranged(env: Env, full: str) -> Env:
    space = env.observation_space
    arrange, shape = _image(space) or _vector(space, full)
    bounds = (0, 255, shape, np.uint8) if len(shape) == 3 else (-np.inf, np.inf, shape, np.float32)
    return gymnasium.wrappers.TransformObservation(env, arrange, spaces.Box(*bounds))


Arrange = tuple[Callable[[Any], NDArray[Any]], tuple[int, ...]]  # how, and the shape that comes of it


def _image(space: spaces.Space[Any]) -> Arrange | None:
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in (2, 3):
        return None
    shape = space.shape if len(space.shape) == 3 else (*space.shape, 1)
    last = shape[2] <= shape[0]  # channels are fewer than rows
    height, width, channels = shape if last else (shape[1], shape[2], shape[0])
    if min(height, width) < _SMALLEST_IMAGE:
        return None

    def arrange(observation: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = observation.reshape(shape)
        return np.array(image.transpose(2, 0, 1) if last else image, order="C")

    return arrange, (channels, height, width)


def _vector(space: spaces.Space[Any], full: str) -> Arrange:
    try:
        flat = spaces.flatten_space(space)
    except (NotImplementedError, ValueError) as error:
        raise UsageError(f"the observations of {full} cannot be made a vector: {_one_line(error)}") from error
    if not isinstance(flat, spaces.Box):
        raise UsageError(f"the observations of {full} have no fixed size, but a network needs one: {space}")

    def arrange(observation: Any) -> NDArray[np.float32]:
        return np.asarray(spaces.flatten(space, observation)).astype(np.float32)

    return arrange, flat.shape
