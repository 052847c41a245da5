"""Draws by priority: how likely each row of the replay is, and what a draw of it weighs."""

import torch
from torch import Tensor

from plastic.agents.replay.column import Column
from plastic.core.errors import UsageError

# Priorities are kept in whole units of 2**-32. Sums of integers are exact and the same in any order, so a
# parallel cumulative sum neither differs from run to run nor gives a row of priority 0 a share of its own;
# on a CPU it is also twice as fast as a sum of doubles. A float32 loss has 24 bits: nothing is lost but for
# losses near 0, where the priority is right to 1e-5 at exponent 0.5. The largest is 2**30 / capacity.
UNIT = 2.0**32

# Keeps a sample whose loss has reached 0 drawable; as Dopamine does.
EPSILON = 1e-10


def pick(cumulative: Tensor, fraction: Tensor) -> Tensor:
    """The rows [B] in whose share of the total the `fraction`s [B] (float64, 0 to 1) fall.

    `cumulative` [C] is the running sum of whole, non-negative shares. A fraction exactly on a boundary goes
    left; rows without a share are never picked, also not by a fraction of exactly 0 or 1.

    >>> pick(torch.tensor([0, 2, 2, 4]), torch.tensor([0.0, 0.5, 0.51, 1.0], dtype=torch.float64))
    tensor([1, 1, 3, 3])
    """
    total = cumulative[-1]
    # Above 2**53 a double may round up to more than the total.
    share = torch.minimum((fraction * total).ceil_().long().clamp_(min=1), total)
    return torch.searchsorted(cumulative, share)


class Priorities:
    """Prioritised replay by proportion (Schaul et al., 2016, arXiv:1511.05952).

    p = (loss + 1e-10)**exponent, new rows get the largest priority so far (1 at first; it never falls), draws are
    stratified, weights are (1/(p N) + 1e-5)**beta over the largest of the batch, N the number of rows that can be
    drawn. At exponent 0 all priorities are 1, and nothing is kept to draw by them.

    `draw`, `weights` and `set` are tensor operations of fixed shapes on storage that stays where it is.

    Args:
        capacity: rows.
        exponent: of the losses, not negative.
        device: where everything is kept.

    Attributes:
        units: [capacity] int64, in units of 2**-32; 0 for rows that cannot be drawn.
        largest: [] int64, the largest so far, in the same units.

    Raises:
        UsageError: for a negative exponent.
    """

    def __init__(self, capacity: int, exponent: float, device: torch.device) -> None:
        if exponent < 0:
            raise UsageError(f"the priority exponent must not be negative, but is {exponent}")
        self.exponent = exponent
        self.units = Column(torch.zeros(capacity, dtype=torch.long, device=device))
        self.largest = torch.full((), int(UNIT), dtype=torch.long, device=device)
        weighted = capacity if exponent else 0
        self._cumulative = torch.zeros(weighted, dtype=torch.long, device=device)
        self._last_place = torch.zeros(weighted, dtype=torch.long, device=device)
        self._limit = 2.0**62 / capacity  # units, so that the sum of a full ring fits into int64

    @property
    def nbytes(self) -> int:
        """Bytes on device and host."""
        return sum(each.nbytes for each in (self.units, self.largest, self._cumulative, self._last_place))

    def admit(self, row: int) -> None:
        """Let a row be drawn, at the largest priority so far."""
        self.units.put(row, self.largest)

    def withdraw(self, row: int) -> None:
        """Let a row no longer be drawn."""
        self.units.put(row, 0)

    def draw(self, batch_size: int, generator: torch.Generator) -> Tensor:
        """Rows [batch_size] int64: one of each of as many equal parts of the total priority."""
        device = self._cumulative.device
        fraction = torch.rand(batch_size, generator=generator, device=device, dtype=torch.float64)
        fraction = (fraction + torch.arange(batch_size, device=device)) / batch_size
        torch.cumsum(self.units.tensor, 0, out=self._cumulative)
        return pick(self._cumulative, fraction)

    def weights(self, index: Tensor, count: Tensor, beta: float | Tensor) -> Tensor:
        """Importance weights [B] float32 of the rows of the last `draw`, of `count` [] rows that could be drawn."""
        share = self.units.tensor.index_select(0, index).double() * count / self._cumulative[-1]
        weight = (1 / share + 1e-5) ** beta
        return (weight / weight.amax()).float()

    def set(self, index: Tensor, losses: Tensor) -> None:
        """Write the priorities of drawn rows [B] from their losses [B]; of equal rows the last one counts."""
        if not self.exponent:
            return
        raw = (losses.detach().double() + EPSILON) ** self.exponent * UNIT
        # A loss that is no number becomes the smallest priority here: the run stops for it elsewhere.
        units = raw.clamp_(max=self._limit).round_().long().clamp_(min=1)
        # A scatter of duplicates keeps any one of them on a GPU; the largest place in the batch is the last.
        place = torch.arange(len(index), device=index.device)
        self._last_place.scatter_reduce_(0, index, place, "amax", include_self=False)
        units = units.index_select(0, self._last_place.index_select(0, index))
        # What can no longer be drawn since the sample stays so.
        units = torch.where(self.units.tensor.index_select(0, index) > 0, units, 0)
        self.units.tensor.scatter_(0, index, units)
        torch.maximum(self.largest, units.amax(), out=self.largest)
