"""Agents: networks, losses and acting, assembled with plugins."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from plastic.core.learning.learner import Knobs, Learner
from plastic.core.plugin import Plugin
from plastic.core.recipes.recipe import Chosen
from plastic.core.recording.capture import Capture, Recorder
from plastic.core.schedule import Clock

Observations = Literal["image", "vector"]
FramePad = Literal["zeros", "first"]
Act = Callable[[NDArray[Any]], NDArray[Any]]


@frozen
class Preset:
    """A named configuration of an agent: settings and plugins that differ from its defaults.

    Attributes:
        description: In one line.
        source: Where the values come from.
        observations: What it is for; None serves both.
        settings: Of the agent.
        plugins: That belong to it.
        values: Options of other plugins by the plugin's name, which hold where such a plugin is chosen.
        environment: Settings of environments by the name of their family: pixels of a size, say. The user's win.
    """

    description: str
    source: str
    observations: Observations | None = None
    settings: Mapping[str, Any] = field(factory=dict)
    plugins: Sequence[Chosen] = ()
    values: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    environment: Mapping[str, Mapping[str, Any]] = field(factory=dict)


@frozen
class TaskValues:
    """What an agent's sources set for some tasks alone; they win over the preset, and the user's over them.

    Attributes:
        source: Where the values come from.
        settings: Of the agent.
        values: Options of plugins by the plugin's name, which hold where such a plugin is chosen.
        presets: With which presets, `none` among them; None is any.
    """

    source: str
    settings: Mapping[str, Any] = field(factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    presets: Collection[str] | None = None


@frozen(eq=False)
class Site:
    """Where an agent is put to work."""

    observation_space: gymnasium.spaces.Box
    action_space: gymnasium.Space[Any]
    frame_stack: int  # frames on the first axis of an observation
    frame_pad: FramePad  # what stands there for those before an episode's start
    plugins: Mapping[str, Sequence[Plugin]]  # by learner
    clock: Clock
    seed: int
    device: torch.device


def observations_of(space: gymnasium.Space[Any]) -> Observations:
    """Whether a space holds images, uint8 with three axes, or vectors."""
    return "image" if space.dtype == np.uint8 and space.shape is not None and len(space.shape) == 3 else "vector"


class Agent(ABC):
    """An attrs class whose fields are its hyperparameters, with every default that of its first preset.

    `begin` makes it a running agent. What is made there, the learners, the replay and the streams of
    its own, are fields with `init=False`.
    """

    name: ClassVar[str]
    presets: ClassVar[Mapping[str, Preset]]
    defaults: ClassVar[Mapping[Observations, str]]  # which preset goes with which observations
    actions: ClassVar[Literal["discrete", "continuous"]]
    environment: ClassVar[str]  # where it plays unless the user says
    tasks: ClassVar[Mapping[str, TaskValues]] = {}  # by task, `*` stands for anything; later ones win
    learns: ClassVar[Sequence[str]]  # the names of its learners, the main one first
    scalars: ClassVar[frozenset[str]] = frozenset()  # those of one number alone, which is no network
    # knobs that a recorded update reads from the device, or that do not concern it; another value of any other is
    # another update
    unrecorded: ClassVar[frozenset[str]] = frozenset({"learning_rate", "replay_ratio"})

    learners: Mapping[str, Learner]
    knobs: Knobs  # holds at least replay_ratio
    replay_ratio: float  # updates per agent step, at first
    learning_starts: int  # agent steps; the first update follows this one
    capture: Capture | None = None  # what updates and actions are recorded and replayed by

    @abstractmethod
    def begin(self, site: Site) -> None:
        """Build networks, learners and replay for an environment, with the plugins in place.

        Raises:
            UsageError: If the environment or a plugin does not fit.
        """

    @abstractmethod
    def start_episode(self, observation: NDArray[Any]) -> None:
        """The first observation of an episode."""

    @abstractmethod
    def act(self, observation: NDArray[Any]) -> Any:
        """The action to take in training, exploration included."""

    @abstractmethod
    def observe(self, action: Any, reward: float, observation: NDArray[Any], terminated: bool, truncated: bool) -> None:
        """What came of the last action."""

    def update(self) -> None:
        """One update of every learner from one batch; the clock has been advanced to it."""
        kind = self.prepare()
        if self.capture is None:
            self.learn()
        else:
            self.capture(("update", kind), self.learn)

    def prepare(self) -> Hashable:
        """The host's part of an update: of every learner, and of the agent, in what overrides this.

        What it gives tells apart the updates that are not the same operations.
        """
        knobs = tuple((name, value) for name, value in self.knobs.items() if name not in self.unrecorded)
        return knobs, tuple(learner.prepare() for learner in self.learners.values())

    @abstractmethod
    def learn(self) -> None:
        """The device's part: each learner's `learn`, and tensor operations alone, on memory that stays where it is.

        So it can be recorded. What changes from update to update and is not drawn, `prepare` writes into tensors.
        """

    @abstractmethod
    def policy(self, generator: torch.Generator) -> Act:
        """Acting for evaluation: observations [N, ...] to actions [N], its draws from `generator`."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything beside the learners: replay, streams. Tensors and plain values only."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called."""

    def be_recorded(self, recorder: Recorder) -> None:
        """From now on record updates and actions, and replay them.

        Raises:
            UsageError: If a learner cannot be recorded.
        """
        for learner in self.learners.values():
            learner.be_recorded()
        self.capture = Capture(recorder, self.generators, self.layout)

    def generators(self) -> Iterator[torch.Generator]:
        """What `learn` draws from."""
        for learner in self.learners.values():
            yield from learner.generators()

    def layout(self) -> Hashable:
        """Something else whenever tensors that `learn` works on are no longer where they were."""
        return tuple(learner.layout for learner in self.learners.values())

    @property
    def device(self) -> torch.device:
        """Where the learners are."""
        return next(iter(self.learners.values())).device

    def on_device(self, what: str, work: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """What acting has the device do, replayed if that is wanted.

        Args:
            what: Its name.
            work: A function of tensors on the device, and of the networks as they are; it draws nothing.
            inputs: Those tensors, on the host.
        """
        if self.capture is None:
            return work(*(given.to(self.device) for given in inputs))
        return self.capture(what, work, *inputs, draws=False)

    def tend(self) -> dict[str, Tensor]:
        """Let every learner's plugins look, then edit; measurements, by learner where there are several."""
        measured: dict[str, Tensor] = {}
        for name, learner in self.learners.items():
            prefix = f"{name}/" if len(self.learners) > 1 else ""
            measured |= {prefix + key: value for key, value in learner.measure().items()}
        for learner in self.learners.values():  # after all have been measured: they look at one another's networks
            learner.edit()
        return measured
