"""An agent in the middle of learning, for timing what an update of it takes."""

import time
from typing import Any

import torch
from attrs import frozen
from numpy.typing import NDArray

from plastic.bench.play import Play
from plastic.core.recipes.assemble import Assembly, assemble, frame_skip
from plastic.core.recipes.recipe import Recipe
from plastic.core.recipes.registry import Registry

_LONGEST = 8  # updates in a stretch
_STEPS = 4_000  # in the replay: more than what a processor's caches hold of images


@frozen(eq=False)
class Workload:
    """An assembled agent whose replay has been filled. A call does what a run does from one action to the next."""

    assembly: Assembly
    observing: float  # seconds by the clock that the replay took for one agent step

    @classmethod
    def of(cls, recipe: Recipe, registry: Registry, play: Play) -> "Workload":
        """Assemble a recipe and let its agent see random play until it can learn.

        Raises:
            UsageError: If the recipe does not fit.
        """
        assembly = assemble(recipe, registry)
        skip = frame_skip(assembly.env)
        assembly.env.close()
        began = time.perf_counter()
        play.feed(assembly.agent, _STEPS)
        observing = (time.perf_counter() - began) / _STEPS
        steps = max(_STEPS, assembly.agent.learning_starts)
        assembly.clock.advance(agent_steps=steps, frames=steps * skip)
        assembly.clock.tick()
        return cls(assembly, observing)

    def __call__(self) -> None:
        """As many updates as `stretch` says, then a wait for the device."""
        for _ in range(self.stretch):
            self.update()
        self.settle()

    @property
    def stretch(self) -> int:
        """Updates between two waits for the device.

        A GPU works behind the host's back until the next action is asked for, so there it is the replay ratio; on a CPU
        each update is done when it returns, and one is as good as any number.
        """
        if self.device.type == "cpu":
            return 1
        return max(1, min(_LONGEST, int(self.assembly.agent.replay_ratio)))

    def update(self) -> None:
        """One update, after which the plugins that are due look and edit; the device may still be at it."""
        self.assembly.clock.advance(updates=1)
        self.assembly.agent.update()
        self.assembly.agent.tend()
        self.assembly.clock.tick()

    def settle(self) -> None:
        """Wait until the device has done everything that was asked of it."""
        if self.assembly.agent.learners and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.assembly.agent.device

    def act(self, observation: NDArray[Any]) -> None:
        """Choose an action as in training."""
        self.assembly.agent.act(observation)
        self.settle()

    def megabytes(self) -> float:
        """What the learners hold: weights, copies, optimizer and plugins' state, in 10^6 bytes."""
        seen: dict[int, int] = {}
        for learner in self.assembly.agent.learners.values():
            _count(learner.state_dict(), seen)
        return sum(seen.values()) / 1e6


def _count(value: Any, seen: dict[int, int]) -> None:
    match value:
        case torch.Tensor():
            storage = value.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
        case dict():
            for part in value.values():
                _count(part, seen)
        case list() | tuple():
            for part in value:
                _count(part, seen)
