"""The memory of an agent: a ring of steps from which batches are drawn."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from plastic.agents.replay.column import Column
from plastic.agents.replay.drawable import Drawable
from plastic.agents.replay.frames import Frames
from plastic.agents.replay.priorities import UNIT, Priorities
from plastic.agents.replay.windows import Windows
from plastic.core.agent import FramePad
from plastic.core.errors import UsageError

# What a saved replay holds besides its columns and `rows`, which lists the rows that can be drawn.
SCALARS = ("max_priority", "capacity", "frame_stack", "frame_pad", "n_step", "discount", "cursor", "step")


class Batch(NamedTuple):
    """B transitions of up to n steps, all tensors on the replay's device.

    `returns` is the discounted sum of the m rewards of the window, m <= n: fewer than n where the episode
    ended before. `discount` is discount**m, what the value of `next_observation` counts for; it is 0 where
    the window ended in a terminal, and `next_observation` is then the last one before the terminal.
    """

    observation: Tensor  # [B, *observation_shape], in the replay's dtype
    action: Tensor  # [B, *action_shape]
    returns: Tensor  # [B] float32
    discount: Tensor  # [B] float32
    next_observation: Tensor  # [B, *observation_shape]
    weight: Tensor  # [B] float32, importance weights, the largest of the batch 1
    index: Tensor  # type: ignore[assignment]  # [B] int64, for set_priorities; it hides tuple.index


class Replay:
    """A ring of steps, each frame kept once, from which stacks and n-step windows are put together when drawn.

    Draws are by priority (see `Priorities`). Priority exponent 0 is uniform replay, its draws independent of one
    another and of weight 1; what it costs does not grow with the capacity.

    A row holds the newest frame of an observation, the action taken there, its reward, and whether the
    episode goes on to the next row. An episode that was cut short has one row more, for the last
    observation, on which shorter windows bootstrap; a terminal needs none. A row can be drawn once its
    window is closed and as long as the ring still holds all frames of its stack. The row of the data is the
    row of the priority, whatever the ring has overwritten.

    `sample` and `set_priorities` are tensor operations of fixed shapes without host synchronisation, on
    storage that stays where it is: they can be captured in a CUDA graph (anew after n_step has changed).
    `start` and `add` belong to the environment's side and are not part of that. A replay is not copied or
    pickled: its state_dict is.

    Args:
        capacity: rows of the ring, at least n_step + frame_stack, fewer than 2**31.
        observation_shape: of one observation, without a batch axis.
        dtype: of the stored frames, torch.uint8 for pixels.
        n_step: rewards in a full window; may be set while running.
        discount: per agent step; may be set while running.
        priority_exponent: 0 draws uniformly.
        device: where everything is kept.
        frame_stack: frames of equal shape that the first axis of an observation holds, newest last.
        frame_pad: what a stack holds for the frames before an episode's start: "zeros", or the episode's
            "first" frame again.
        action_shape: of one action.
        action_dtype: of the stored actions.

    Raises:
        UsageError: for values out of range, or observations that are not as declared.
    """

    def __init__(
        self,
        *,
        capacity: int,
        observation_shape: tuple[int, ...],
        dtype: torch.dtype,
        n_step: int,
        discount: float,
        priority_exponent: float,
        device: torch.device | str,
        frame_stack: int = 1,
        frame_pad: FramePad = "zeros",
        action_shape: tuple[int, ...] = (),
        action_dtype: torch.dtype = torch.long,
    ) -> None:
        if capacity >= 2**31:
            raise UsageError(f"a replay numbers its rows in 32 bits, and {capacity} are too many; give it fewer")
        self.capacity = capacity
        self.observation_shape = tuple(observation_shape)
        self.frame_stack = frame_stack
        self.frame_pad = frame_pad
        self.priority_exponent = priority_exponent
        self.device = torch.device(device)
        self._check_n_step(n_step)
        self._check_discount(discount)
        self._frames = Frames(capacity, self.observation_shape, dtype, frame_stack, frame_pad, self.device)
        self._action = Column(torch.zeros((capacity, *action_shape), dtype=action_dtype, device=self.device))
        self._windows = Windows(capacity, n_step, discount, self.device)
        self._priorities = Priorities(capacity, priority_exponent, self.device)
        self._drawable = Drawable(capacity, self.device)
        self._columns = {  # as a saved replay names them
            "frames": self._frames.frames,
            "action": self._action,
            "reward": self._windows.reward,
            "goes_on": self._windows.goes_on,
            "terminal": self._windows.terminal,
            "history": self._frames.history,
            "priority": self._priorities.units,
        }
        self._cursor = 0  # the row of the current observation, or the next one to write
        self._filled = 0  # rows that hold something
        self._step = -1  # of the current observation in its episode; -1 where no episode is open

    def __getstate__(self) -> None:
        """Refuse to be copied: in a copy, the columns on the host would no longer be the tensors."""
        raise TypeError("a replay cannot be copied or pickled; make another and give it this one's state_dict()")

    def __len__(self) -> int:
        """How many rows can be drawn."""
        return len(self._drawable)

    @property
    def nbytes(self) -> int:
        """Bytes of everything kept, on device and host, at full capacity."""
        parts = (self._frames, self._action, self._windows, self._priorities, self._drawable)
        return sum(each.nbytes for each in parts)

    @property
    def priorities(self) -> Tensor:
        """[capacity] float64, 0 for rows that cannot be drawn; a copy, for looking at."""
        return self._priorities.units.tensor.double() / UNIT

    @property
    def layout(self) -> int:
        """Counted up when what `sample` reads is no longer where it was: n_step has changed."""
        return self._windows.layout

    @property
    def n_step(self) -> int:
        return self._windows.n_step

    @n_step.setter
    def n_step(self, n_step: int) -> None:
        """Only the open episode's newest rows change: their windows close sooner or open again."""
        self._check_n_step(n_step)
        before = self.n_step
        self._windows.set(n_step, self.discount)
        if self._step >= 0:
            for step in range(max(0, self._step - n_step + 1), self._step - before + 1):
                self._withdraw(self._row_of(step))
            self._admit(self._step - before + 1, self._step - n_step)
            self._drawable.tell()

    @property
    def discount(self) -> float:
        return self._windows.discount

    @discount.setter
    def discount(self, discount: float) -> None:
        self._check_discount(discount)
        self._windows.set(self.n_step, discount)

    def start(self, observation: np.ndarray[Any, Any]) -> None:
        """Begin an episode with its first observation; one that is still open ends here, cut short."""
        frame = self._frames.first(observation)
        if self._step >= 0:
            self._cut_short()
        self._step = 0
        self._write_frame(frame)
        self._drawable.tell()

    def add(
        self,
        action: int | np.ndarray[Any, Any] | Tensor,
        reward: float,
        next_observation: np.ndarray[Any, Any],
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Record the action taken at the current observation and what came of it; a terminal comes first."""
        if self._step < 0:
            raise UsageError("give the replay the episode's first observation with start() before add()")
        row, n_step = self._cursor, self._windows.n_step
        self._action.put(row, action)
        self._windows.write(row, reward, terminated)
        if terminated:
            self._admit(self._step - n_step + 1, self._step)
            self._close()
        else:
            frame = self._frames.newest(next_observation)
            self._cursor = (row + 1) % self.capacity
            self._step += 1
            self._write_frame(frame)
            self._admit(self._step - n_step, self._step - n_step)
            if truncated:
                self._cut_short()
        self._drawable.tell()

    def sample(self, batch_size: int, beta: float | Tensor, generator: torch.Generator) -> Batch:
        """Draw `batch_size` rows by priority, with importance weights to the power of `beta`."""
        if not self.priority_exponent:
            return self.sample_uniformly(batch_size, generator)
        self._check_not_empty()
        index = self._priorities.draw(batch_size, generator)
        return self._batch(index, self._priorities.weights(index, self._drawable.count, beta))

    def sample_uniformly(self, batch_size: int, generator: torch.Generator) -> Batch:
        """As `sample`, every row as likely as another and of weight 1: for looking at, by probes."""
        self._check_not_empty()
        index = self._drawable.draw(batch_size, generator)
        return self._batch(index, torch.ones(batch_size, device=self.device))

    def set_priorities(self, index: Tensor, losses: Tensor) -> None:
        """Write the priorities of the drawn rows from their losses [B]; of equal rows the last one counts."""
        self._priorities.set(index, losses)

    def state_dict(self) -> dict[str, Tensor | int | float | str]:
        """All that later samples depend on; the tensors are views of the filled rows, for writing at once."""
        return {
            **{name: column.head(self._filled) for name, column in self._columns.items()},
            "rows": self._drawable.rows.head(len(self)),
            "max_priority": self._priorities.largest,
            "capacity": self.capacity,
            "frame_stack": self.frame_stack,
            "frame_pad": self.frame_pad,
            "n_step": self.n_step,
            "discount": self.discount,
            "cursor": self._cursor,
            "step": self._step,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, n_step and discount with it; the storage stays where it is.

        Raises:
            UsageError: if the state is of a replay of another capacity, padding, shape or dtype, or if it does
                not agree with itself. Nothing is changed.
        """
        lacking = [name for name in (*self._columns, "rows", *SCALARS) if name not in state]
        if lacking:
            raise UsageError(f"this is not the state of a replay: it has no {lacking[0]!r}")
        for name in ("capacity", "frame_stack", "frame_pad"):
            if state[name] != getattr(self, name):
                raise UsageError(
                    f"the saved replay has {name} {state[name]}, this one {getattr(self, name)}; use the same"
                )
        filled = len(state["frames"])
        for name, column in self._columns.items():
            ours, theirs = column.tensor, state[name]
            if theirs.dtype != ours.dtype or theirs.shape != (filled, *ours.shape[1:]):
                raise UsageError(
                    f"the saved replay's {name} are {theirs.dtype} of shape {tuple(theirs.shape[1:])} a row, "
                    f"this one's {ours.dtype} of shape {tuple(ours.shape[1:])}; use the same environment"
                )
        rows = state["rows"]
        drawable = (state["priority"] > 0).nonzero().flatten()
        if rows.dtype != self._drawable.rows.tensor.dtype or not torch.equal(rows.long().sort().values, drawable):
            raise UsageError(
                "the saved replay lists other rows to draw than those it has priorities for; "
                "its file is damaged, so go on from an earlier checkpoint"
            )
        for name, column in self._columns.items():
            column.load(state[name])
            if name != "frames":  # rows without data are never read, and writing them takes memory
                column.clear(filled)
        self._priorities.largest.copy_(state["max_priority"])
        self._drawable.load(rows)
        self._windows.set(int(state["n_step"]), float(state["discount"]))
        self._filled, self._cursor, self._step = filled, int(state["cursor"]), int(state["step"])

    def _batch(self, index: Tensor, weight: Tensor) -> Batch:
        returns, discount, last = self._windows.at(index)
        observation, next_observation = self._frames.stacks(torch.stack((index, last))).unbind()
        return Batch(
            observation=observation,
            action=self._action.tensor.index_select(0, index),
            returns=returns,
            discount=discount,
            next_observation=next_observation,
            weight=weight,
            index=index,
        )

    def _write_frame(self, frame: np.ndarray[Any, Any]) -> None:
        """Write the current observation's frame at the cursor; stacks that needed the old one are gone."""
        row = self._cursor
        for later in self._frames.needing(row):
            self._withdraw(later)
        self._frames.write(row, frame, self._step)
        self._filled = max(self._filled, row + 1)

    def _cut_short(self) -> None:
        """Make the row of the current observation the last of its episode, to bootstrap from only."""
        self._action.put(self._cursor, 0)
        self._windows.clear(self._cursor)
        self._admit(self._step - self.n_step + 1, self._step - 1)
        self._close()

    def _close(self) -> None:
        self._cursor = (self._cursor + 1) % self.capacity
        self._step = -1

    def _row_of(self, step: int) -> int:
        """The row of an earlier step of the open episode."""
        return (self._cursor - (self._step - step)) % self.capacity

    def _admit(self, first: int, last: int) -> None:
        """Let the steps `first` to `last` of the open episode be drawn: their windows are closed."""
        for step in range(max(0, first), last + 1):
            row = self._row_of(step)
            self._priorities.admit(row)
            self._drawable.admit(row)

    def _withdraw(self, row: int) -> None:
        """Let a row no longer be drawn, if it could be."""
        if self._drawable.withdraw(row):
            self._priorities.withdraw(row)

    def _check_not_empty(self) -> None:
        if not len(self):
            raise UsageError("the replay has nothing to draw yet; start learning later (learning_starts)")

    def _check_n_step(self, n_step: int) -> None:
        if n_step < 1:
            raise UsageError(f"n_step must be at least 1, but is {n_step}")
        if self.capacity < n_step + self.frame_stack:
            raise UsageError(
                f"a replay of {self.capacity} rows is too small for n_step {n_step} and "
                f"{self.frame_stack} stacked frames; give it at least {n_step + self.frame_stack}"
            )

    def _check_discount(self, discount: float) -> None:
        if not 0 <= discount <= 1:
            raise UsageError(f"the discount must be between 0 and 1, but is {discount}")
