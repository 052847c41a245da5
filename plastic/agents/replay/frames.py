"""Every frame once: stacks of frames are put together when they are drawn."""

from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plastic.agents.replay.column import Column
from plastic.core.agent import FramePad
from plastic.core.errors import UsageError


class Frames:
    """A ring of single frames, the newest of each row's observation.

    `stacks` is tensor operations of fixed shapes on storage that stays where it is; all else is the host's.

    Args:
        capacity: rows of the ring.
        observation_shape: of one observation, without a batch axis.
        dtype: of the stored frames.
        frame_stack: frames of equal shape that the first axis of an observation holds, newest last.
        frame_pad: what a stack holds for the frames before an episode's start.
        device: where they are kept.

    Attributes:
        frames: [capacity + 1, *frame_shape]; the last row is the frame before an episode's start, if that is zeros.
        history: [capacity] uint8, how many earlier frames of a row's stack are real, at most frame_stack - 1.

    Raises:
        UsageError: for observations that are no such stack, or another padding.
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: tuple[int, ...],
        dtype: torch.dtype,
        frame_stack: int,
        frame_pad: FramePad,
        device: torch.device,
    ) -> None:
        if not observation_shape or not 1 <= frame_stack <= 255 or observation_shape[0] % frame_stack:
            raise UsageError(
                f"observations of shape {observation_shape} are not a stack of {frame_stack} frames; "
                "give the environment's own frame_stack"
            )
        if frame_pad not in get_args(FramePad):
            raise UsageError(f"no frame_pad {frame_pad!r}; use 'zeros' or 'first'")
        self.observation_shape = tuple(observation_shape)
        self.frame_stack = frame_stack
        self.frame_pad = frame_pad
        self._capacity = capacity
        frame_shape = (observation_shape[0] // frame_stack, *observation_shape[1:])
        # torch.empty, so that the system hands out memory as the ring fills. With a row of zeros behind the others
        # a stack is one gather, without a pass to blank frames out.
        frames = torch.empty((capacity + 1, *frame_shape), dtype=dtype, device=device)
        frames[capacity].zero_()
        self.frames = Column(frames)
        self.history = Column(torch.zeros(capacity, dtype=torch.uint8, device=device), known=True)
        self._flat = frames.view(capacity + 1, -1)
        self._back = torch.arange(frame_stack - 1, -1, -1, device=device)

    @property
    def nbytes(self) -> int:
        """Bytes on device and host, at full capacity."""
        return sum(each.nbytes for each in (self.frames, self.history, self._back))

    def newest(self, observation: NDArray[np.generic]) -> NDArray[np.generic]:
        """The newest frame of an observation; a view.

        Raises:
            UsageError: if the observation is not as declared.
        """
        if observation.shape != self.observation_shape:
            raise UsageError(
                f"the replay is for observations of shape {self.observation_shape}, got {observation.shape}"
            )
        frames = self.frames.tensor
        if np.issubdtype(observation.dtype, np.floating) and not frames.is_floating_point():
            raise UsageError(
                f"the replay keeps {frames.dtype}, which would cut {observation.dtype} observations to "
                "whole numbers; give it a floating dtype"
            )
        return observation[-frames.shape[1] :]

    def first(self, observation: NDArray[np.generic]) -> NDArray[np.generic]:
        """As `newest`, of the first observation of an episode.

        Raises:
            UsageError: also if the frames before its newest are not what will be put together.
        """
        frame = self.newest(observation)
        before = observation[: -len(frame)]
        if self.frame_pad == "zeros" and before.any():
            raise UsageError(
                "the first observation of an episode must hold zeros before its newest frame; "
                "have the environment pad its frame stack with zeros"
            )
        if self.frame_pad == "first" and (before.reshape(-1, *frame.shape) != frame).any():
            raise UsageError(
                "the first observation of an episode must hold its newest frame repeated; "
                "have the environment pad its frame stack with the first frame"
            )
        return frame

    def needing(self, row: int) -> list[int]:
        """The rows whose stacks hold the frame at `row`."""
        history, capacity = self.history.host, self._capacity
        rows = range(row, row + self.frame_stack)
        return [later for ahead, each in enumerate(rows) if ahead <= history[later := each % capacity]]

    def write(self, row: int, frame: NDArray[np.generic], step: int) -> None:
        """Write the frame of an episode's step, 0 for its first; stacks that needed the row's old one are gone."""
        self.history.put(row, min(step, self.frame_stack - 1))
        self.frames.put(row, frame)

    def stacks(self, rows: Tensor) -> Tensor:
        """The observations at `rows`, of any shape: [*rows.shape, *observation_shape], in one gather."""
        flat = rows.reshape(-1, 1)
        if self.frame_stack > 1:
            history = self.history.tensor.index_select(0, flat.view(-1)).long()[:, None]
            if self.frame_pad == "first":
                flat = (flat - torch.minimum(self._back, history)) % self._capacity
            else:
                flat = torch.where(self._back > history, self._capacity, (flat - self._back) % self._capacity)
        return self._flat.index_select(0, flat.view(-1)).view(*rows.shape, *self.observation_shape)
