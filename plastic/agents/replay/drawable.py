"""Which rows of the replay may be drawn, and draws in which each is as likely as another."""

import numpy as np
import torch
from torch import Tensor

from plastic.agents.replay.column import Column


class Drawable:
    """A list of rows without gaps, so that a uniform draw need not look for them: its cost does not grow with the ring.

    `draw` is tensor operations of fixed shapes on storage that stays where it is; all else is the host's.

    Args:
        capacity: rows of the ring, fewer than 2**31.
        device: where draws are made.

    Attributes:
        rows: [capacity] int32, those that may be drawn first, in any order.
        count: [] int64, how many they are, as the device knows it: as of the last `tell`.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.rows = Column(torch.zeros(capacity, dtype=torch.int32, device=device), known=True)
        self.count = torch.zeros((), dtype=torch.long, device=device)
        self._place = np.full(capacity, -1, np.int32)  # of a row in `rows`; -1: not to be drawn
        self._count = 0

    def __len__(self) -> int:
        """How many rows may be drawn."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes on device and host."""
        return self.rows.nbytes + self.count.nbytes + self._place.nbytes

    def admit(self, row: int) -> None:
        """Let a row be drawn that could not be."""
        self.rows.put(self._count, row)
        self._place[row] = self._count
        self._count += 1

    def withdraw(self, row: int) -> bool:
        """Let a row no longer be drawn, and the last of the list take its place; whether it could be drawn."""
        place = int(self._place[row])
        if place < 0:
            return False
        self._count -= 1
        last = int(self.rows.host[self._count])
        self.rows.put(place, last)
        self._place[last] = place
        self._place[row] = -1
        return True

    def tell(self) -> None:
        """Let the device know how many rows there are; once for all that were admitted and withdrawn."""
        self.count.fill_(self._count)

    def draw(self, batch_size: int, generator: torch.Generator) -> Tensor:
        """Rows [batch_size] int64, drawn independently of one another."""
        fraction = torch.rand(batch_size, generator=generator, device=self.count.device, dtype=torch.float64)
        # In double precision a fraction below 1 of a number of rows is below that number, however it is rounded.
        place = (fraction * self.count).long()
        return self.rows.tensor.index_select(0, place).long()

    def load(self, rows: Tensor) -> None:
        """Let these rows [N] be drawn, and no others."""
        self._count = len(rows)
        self.tell()
        self.rows.load(rows)
        self._place[:] = -1
        self._place[self.rows.host[: self._count]] = np.arange(self._count)
