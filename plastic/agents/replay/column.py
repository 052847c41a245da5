"""A column of the replay: a value for every row, on the device, and on the host where that writes or reads it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


class Column:
    """A tensor whose rows the host writes one at a time.

    On a CPU they are written through numpy, which takes a fiftieth of the time. Elsewhere the host keeps a copy, of
    what it must know without asking the device.

    Args:
        tensor: [rows, ...], which stays where it is.
        known: whether the host reads it.

    Attributes:
        tensor: as given.
        host: the same on the host; on a CPU the same memory, elsewhere None unless `known`.
    """

    def __init__(self, tensor: Tensor, *, known: bool = False) -> None:
        self.tensor = tensor
        self._on_host = tensor.device.type == "cpu"
        self.host: Any = tensor.cpu().numpy() if self._on_host or known else None

    @property
    def nbytes(self) -> int:
        """Bytes on device and host."""
        return self.tensor.nbytes + (0 if self._on_host or self.host is None else int(self.host.nbytes))

    def put(self, row: int, value: Any) -> None:
        """Write one row, without waiting for the device."""
        if self.host is not None:
            self.host[row] = value
        if self._on_host:
            return
        place = self.tensor[row]  # `self.tensor[row] = value` would wait: what it makes of the value is on the host
        if isinstance(value, np.ndarray):
            place.copy_(torch.tensor(value), non_blocking=True)  # of pageable memory the driver takes a copy at once
        elif isinstance(value, Tensor):
            place.copy_(value, non_blocking=True)
        else:
            place.fill_(value)

    def head(self, count: int) -> Tensor:
        """The first `count` rows, on the host; on a CPU in the same memory."""
        rows = self.tensor[:count]
        # torch.save writes the whole storage of a view; through numpy the same memory has one of its own.
        return torch.from_numpy(rows.numpy()) if self._on_host else rows.cpu()

    def load(self, rows: Tensor) -> None:
        """Write the first rows; those behind stay."""
        self.tensor[: len(rows)].copy_(rows)
        if self.host is not None and not self._on_host:
            self.host[: len(rows)] = rows.cpu().numpy()

    def clear(self, first: int) -> None:
        """Write 0 into all rows from `first` on."""
        self.tensor[first:].zero_()
        if self.host is not None and not self._on_host:
            self.host[first:] = 0
