"""What agents that learn from a replay do alike: options, observations, the replay and its knobs, checkpoints."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray
from torch import nn

from plastic.agents.replay import Replay
from plastic.core.agent import Agent, Site, observations_of
from plastic.core.errors import UsageError
from plastic.core.learning.adam import Adam
from plastic.core.learning.learner import Knobs, Learner
from plastic.core.modifier import MakeOptimizer
from plastic.core.objective import Objective
from plastic.core.recipes.inert import only_for, unless
from plastic.core.streams import generator
from plastic.core.validators import between

_count = between(1)


@define(eq=False)
class OffPolicy(Agent):
    """An agent with a replay, a stream that batches are drawn with, and one of exploration."""

    unrecorded = Agent.unrecorded | {"discount"}  # the replay keeps its powers in a tensor

    n_step: int = field(default=1, validator=_count)
    discount: float = field(default=0.99, validator=between(0, 1))
    batch_size: int = field(default=256, validator=_count)
    replay_ratio: float = field(default=1.0, validator=between(0, above=True))
    replay_capacity: int = field(default=1_000_000, validator=_count)
    learning_starts: int = field(default=10_000, validator=_count)
    learning_rate: float = field(default=3e-4, validator=between(0))
    augmentation: bool = field(default=True, metadata=only_for("image"))
    shift: int = field(default=4, validator=between(0), metadata={**only_for("image"), **unless(augmentation=False)})
    probe_batch: int = field(default=512, validator=_count)

    learners: Mapping[str, Learner] = field(init=False)
    knobs: Knobs = field(init=False)
    _site: Site = field(init=False)
    _dtype: torch.dtype = field(init=False)  # of the observations as the replay keeps them
    _replay: Replay = field(init=False)
    _batches: torch.Generator = field(init=False)
    _exploration: torch.Generator = field(init=False)

    def _settle(
        self,
        site: Site,
        *,
        priority_exponent: float = 0.0,
        action_shape: tuple[int, ...] = (),
        action_dtype: torch.dtype = torch.int64,
    ) -> None:
        """Take a place whose observations are images or vectors: knobs, streams and replay for it.

        Raises:
            UsageError: If they are neither.
        """
        space = site.observation_space
        if observations_of(space) == "vector" and len(space.shape) != 1:
            raise UsageError(
                f"{self.name} reads vectors, or images of bytes; this environment gives {space.dtype} of "
                f"shape {space.shape}: flatten them"
            )
        self._site = site
        self._dtype = torch.uint8 if space.dtype == np.uint8 else torch.float32
        self.knobs = {
            "replay_ratio": self.replay_ratio,
            "learning_rate": self.learning_rate,
            "n_step": self.n_step,
            "discount": self.discount,
        }
        if self._images:
            self.knobs["augmentation"] = self.augmentation
        self._batches = generator(site.seed, "replay", device=site.device)
        self._exploration = generator(site.seed, "exploration")
        self._replay = Replay(
            capacity=self.replay_capacity,
            observation_shape=space.shape,
            dtype=self._dtype,
            frame_stack=site.frame_stack,
            frame_pad=site.frame_pad,
            n_step=self.n_step,
            discount=self.discount,
            priority_exponent=priority_exponent,
            device=site.device,
            action_shape=action_shape,
            action_dtype=action_dtype,
        )

    def _learner(
        self, name: str, make: Callable[[], nn.Module], objective: Objective, max_grad_norm: float | None = None
    ) -> Learner:
        """The learner of this name, with its plugins."""
        return Learner(
            name,
            make,
            objective,
            self._optimizer(),
            plugins=self._site.plugins[name],
            clock=self._site.clock,
            seed=self._site.seed,
            device=self._site.device,
            max_grad_norm=max_grad_norm,
            knobs=self.knobs,
        )

    def _optimizer(self) -> MakeOptimizer:
        return partial(Adam, lr=self.learning_rate)

    @property
    def _images(self) -> bool:
        return observations_of(self._site.observation_space) == "image"

    def start_episode(self, observation: NDArray[Any]) -> None:
        """See `Agent.start_episode`."""
        self._replay.start(observation)

    def prepare(self) -> Hashable:
        """See `Agent.prepare`; the replay's windows become what the knobs say."""
        if self.knobs["n_step"] != self._replay.n_step:
            self._replay.n_step = int(self.knobs["n_step"])
        if self.knobs["discount"] != self._replay.discount:
            self._replay.discount = self.knobs["discount"]
        return super().prepare()

    def layout(self) -> Hashable:
        """See `Agent.layout`."""
        return super().layout(), self._replay.layout

    def generators(self) -> Iterator[torch.Generator]:
        """See `Agent.generators`."""
        yield from super().generators()
        yield self._batches

    def state_dict(self) -> dict[str, Any]:
        """See `Agent.state_dict`."""
        return {
            "replay": self._replay.state_dict(),
            "batches": self._batches.get_state(),
            "exploration": self._exploration.get_state(),
            "knobs": dict(self.knobs),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Agent.load_state_dict`."""
        self._replay.load_state_dict(state["replay"])
        self._batches.set_state(state["batches"])
        self._exploration.set_state(state["exploration"])
        self.knobs.update(state["knobs"])
