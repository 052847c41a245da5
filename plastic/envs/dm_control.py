"""The tasks of the DeepMind Control suite, from states or from pixels."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import gymnasium
import numpy as np
from attrs import field, frozen
from gymnasium import spaces
from numpy.typing import NDArray

from plastic.core.environment import Env, EnvFamily
from plastic.core.errors import RunError, UsageError, suggestion
from plastic.core.validators import between
from plastic.envs import dm_control_tasks, gl_backend
from plastic.envs.dm_control_tasks import TASKS
from plastic.envs.gl_backend import GlCamera
from plastic.envs.ray_renderer import RayCamera

# States float32 [frame_stack * values], pixels uint8 [frame_stack * channels, size, size]; newest frame last
Observation = NDArray[Any]
Picture = Callable[[], NDArray[np.uint8]]  # draws [size, size, 3]

# Control steps of an episode: so many in every task of the suite, but LQR, which would never end, has no limit
LONGEST = 1000

_INSTALL = "pip install dm_control 'mujoco>=3.17,<4'"


@frozen
class DmControl(EnvFamily):
    """DeepMind Control tasks (Tassa et al., 2018, arXiv:1801.00690), by default from states.

    Pixels are by default those that Nikishin et al. (2022, arXiv:2205.07802) and PLASTIC's predecessors train
    from. A control step is one action of the task at its own rate; 1,000 are an episode, and its end is a time
    limit and no terminal. Rewards are between 0 and 1 a control step, so that 1,000 is the most.

    Attributes:
        pixels: Pictures instead of states. The next four options are for pixels alone.
        grey: Pictures in grey (0.299 red, 0.587 green, 0.114 blue, rounded down); none stands for true.
        size: Height and width of a picture, pixels; none stands for 64.
        camera: Number of the camera in the model; none stands for 2 for the quadruped, else 0.
        render: `gl`, MuJoCo's own pictures, which need an OpenGL library; or `ray`, which needs none and draws by
            rays: other pixels, without shadows; none stands for gl.
        frame_stack: Agent steps whose observations make one; before the start the first is repeated; none stands
            for 3 for pixels, 1 for states.
        action_repeat: Control steps an agent step, their rewards added up; none stands for 1 for states, and for
            pixels 4 in cheetah-run and reacher-easy, else 2.
    """

    name = "dm_control"
    eval_episodes = 10

    pixels: bool = False
    grey: bool | None = None
    size: int | None = field(default=None, validator=between(8, 1024))
    camera: int | None = field(default=None, validator=between(0))
    render: Literal["gl", "ray"] | None = None
    frame_stack: int | None = field(default=None, validator=between(1))
    action_repeat: int | None = field(default=None, validator=between(1, LONGEST))

    def __attrs_post_init__(self) -> None:
        if not self.pixels:
            for name in ("grey", "size", "camera", "render"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is for pixels alone; set pixels=true or leave {name} out")

    def tasks(self) -> Sequence[str]:
        return [_full(name) for name in TASKS]

    def find(self, task: str) -> str | None:
        """A task by its id or its name, in any case: `dm_control/cheetah-run-v0`, `cheetah-run`, `Cheetah_Run`."""
        name = _letters(task.removeprefix("dm_control/").removesuffix("-v0"))
        return next((_full(known) for known in TASKS if _letters(known) == name), None)

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        """The task; evaluation changes nothing.

        Raises:
            UsageError: If there is no such task or camera, dm_control cannot be loaded, or OpenGL cannot draw.
        """
        full = self.find(task)
        if full is None:
            raise UsageError(f"no DeepMind Control task {task!r}; {suggestion(task.lower(), TASKS)}")
        return ControlTask(_name(full), self)

    def about(self) -> Mapping[str, str]:
        """What draws the pictures: returns from other pixels are not comparable."""
        if not self.pixels:
            return {}
        ray = "ray: its pixels differ from MuJoCo's"
        return {"renderer": ray if self.render == "ray" else gl_backend.description()}


class ControlTask(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One task of the suite as a Gymnasium environment.

    An action is a float32 vector within the task's own bounds, those of its motors. `reset(seed=s)` begins the
    episode with which `suite.load(..., task_kwargs={"random": s})` would begin, whatever was played before.

    Args:
        task: Its name, as in `TASKS`.
        rules: What the agent sees, and how often it acts.
    """

    frame_pad = "first"  # frames before the start of an episode repeat its first one

    def __init__(self, task: str, rules: DmControl) -> None:
        suite = _suite()
        self._task = task
        with _quietly():
            # Each seeded reset seeds the task anew, and that is enough: MuJoCo's data are cleared, and what tasks
            # change in the model they set at each start. LQR alone draws its model, springs and dampers, when it
            # is loaded; from one seed, so that training, evaluation and every run control the same system.
            self._env: Any = suite.load(*task.split("-"), task_kwargs={"random": 0})
        physics = self._env.physics
        self._last: NDArray[np.uint8] | None = None
        self._picture: Picture | None = self._camera(physics, rules) if rules.pixels else None
        if self._picture is None or isinstance(self._picture, RayCamera):
            _without_gl(physics)

        repeat = dm_control_tasks.action_repeat(task) if rules.pixels else 1
        self.frame_skip = repeat if rules.action_repeat is None else rules.action_repeat
        self.frame_stack = rules.frame_stack or (3 if rules.pixels else 1)
        self._grey = rules.grey is not False
        spec = self._env.action_spec()
        self.action_space = spaces.Box(spec.minimum.astype(np.float32), spec.maximum.astype(np.float32))
        self.observation_space = self._space(rules)
        self.render_mode = "rgb_array" if rules.pixels else None
        rate = 1 / (self._env.control_timestep() * self.frame_skip)
        self.metadata = {"render_modes": ["rgb_array"] if rules.pixels else [], "render_fps": rate}
        self._observation: Observation = np.zeros(self.observation_space.shape, self.observation_space.dtype)
        self._played = 0  # control steps of this episode
        self._playing = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        self._env.task.random.seed((int(self.np_random.integers(2**32)) if seed is None else seed) % 2**32)
        first = self._see(self._env.reset())
        self._observation = np.concatenate([first] * self.frame_stack)
        self._played = 0
        self._playing = True
        return self._observation, {}

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if not self._playing:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset() before step()")
        reward = 0.0
        for _ in range(self.frame_skip):
            after = self._act(action)
            reward += after.reward
            self._played += 1
            if after.last() or self._played == LONGEST:
                self._playing = False
                break
        # The suite says by a discount of 0 that there is nothing more to gain; a time limit leaves it at 1
        terminated = bool(after.last() and after.discount == 0)
        truncated = not self._playing and not terminated
        # A new array each time: what was given away stays as it is
        frame = self._see(after)
        self._observation = np.concatenate([self._observation[len(frame) :], frame])
        return self._observation, reward, terminated, truncated, {}

    def render(self) -> NDArray[np.uint8] | None:  # [size, size, 3]
        """The last picture in its colours; of states there is none."""
        return self._last

    def close(self) -> None:
        self._playing = False
        self._env.physics.free()

    def _act(self, action: NDArray[np.float32]) -> Any:
        try:
            return self._env.step(action)
        except import_module("dm_control.rl.control").PhysicsError as error:
            reason = " ".join(str(error).split())
            raise RunError(f"the simulation of {self._task} became unstable ({reason}); act less violently") from error

    def _see(self, after: Any) -> Observation:
        """One frame: values [values], or a picture [channels, size, size]."""
        if self._picture is None:
            return np.concatenate([np.ravel(value) for value in after.observation.values()]).astype(np.float32)
        self._last = picture = self._picture().copy()
        return grey(picture)[np.newaxis] if self._grey else picture.transpose(2, 0, 1)

    def _space(self, rules: DmControl) -> spaces.Box:
        if rules.pixels:
            size = _size(rules)
            return spaces.Box(0, 255, (self.frame_stack * (1 if self._grey else 3), size, size), np.uint8)
        values = sum(int(np.prod(spec.shape)) for spec in self._env.observation_spec().values())
        return spaces.Box(-np.inf, np.inf, (self.frame_stack * values,), np.float32)

    def _camera(self, physics: Any, rules: DmControl) -> Picture:
        camera = dm_control_tasks.camera(self._task) if rules.camera is None else rules.camera
        if camera >= physics.model.ncam:
            raise UsageError(f"{self._task} has no camera {camera}; its last one is {physics.model.ncam - 1}")
        return (RayCamera if rules.render == "ray" else GlCamera)(physics, camera, _size(rules))


def grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[..., 3] red, green and blue to [...]: 0.299, 0.587 and 0.114 of them, rounded down.

    In whole thousandths: as doubles the weights of white may add up to less than 255.

    >>> grey(np.array([[255, 255, 255], [0, 255, 0]], np.uint8)).tolist()
    [255, 149]
    """
    shares: NDArray[Any] = picture @ np.array([299, 587, 114], np.uint32)
    return (shares // 1000).astype(np.uint8)


def _size(rules: DmControl) -> int:
    return 64 if rules.size is None else rules.size


def _full(name: str) -> str:
    return f"dm_control/{name}-v0"


def _name(full: str) -> str:
    return full.removeprefix("dm_control/").removesuffix("-v0")


def _letters(name: str) -> str:
    return name.lower().replace("_", "-")


def _suite() -> Any:
    # Imported late: it takes a second, and where it is broken or missing the other environments must stay usable
    _refuse_mujoco_4()
    try:
        if "dm_control" not in sys.modules:
            with gl_backend.switched_off():
                return import_module("dm_control.suite")
        return import_module("dm_control.suite")
    except ImportError as error:
        raise UsageError(f"DeepMind Control tasks need dm_control ({error}); install it with: {_INSTALL}") from error


def _refuse_mujoco_4() -> None:
    # dm_control 1.0.50 asks for mujoco>=3.17.0 without an upper end, but cannot load a model with 4
    try:
        found = version("mujoco")
    except PackageNotFoundError:
        return  # then the import says what is missing
    if int(found.split(".")[0]) >= 4:
        raise UsageError(
            f"dm_control does not work with mujoco {found}; run: "
            f"pip uninstall -y mujoco mujoco-core mujoco-studio && pip install 'mujoco>=3.17,<4'"
        )


@contextmanager
def _quietly() -> Iterator[None]:
    # MuJoCo finds words in the suite's own models that are out of date, and says so on standard error
    log = logging.getLogger("absl")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _without_gl(physics: Any) -> None:
    """Let nothing open a GL context: quadruped-escape asks for one to send it its hills, and by that makes one."""
    physics.__class__ = type(type(physics).__name__, (type(physics),), {"contexts": None})
