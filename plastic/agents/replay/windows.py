"""n-step returns, from the rewards of a ring of steps."""

import torch
from torch import Tensor

from plastic.agents.replay.column import Column


class Windows:
    """The rewards of a ring of steps, and the returns of the windows of up to n steps that start at its rows.

    A row holds the reward of the action taken there, whether the episode goes on to the next row, and whether it ended
    there in a terminal. An episode that was cut short has one row more, which is cleared: on it shorter windows
    bootstrap. A terminal needs none.

    `at` is tensor operations of fixed shapes on storage that stays where it is, until n_step changes.

    Args:
        capacity: rows of the ring.
        n_step: rewards in a full window.
        discount: per agent step.
        device: where everything is kept.

    Attributes:
        n_step: as last `set`.
        discount: as last `set`.
        layout: counted up whenever n_step changes, since a captured graph reads what then lies elsewhere.
    """

    def __init__(self, capacity: int, n_step: int, discount: float, device: torch.device) -> None:
        self._capacity = capacity
        self._device = device
        self.reward = Column(torch.zeros(capacity, device=device))
        self.goes_on = Column(torch.zeros(capacity, dtype=torch.bool, device=device))
        self.terminal = Column(torch.zeros(capacity, dtype=torch.bool, device=device))
        self.layout = 0
        self._ahead = torch.arange(0, device=device)
        self._powers = torch.ones(1, device=device)
        self.set(n_step, discount)

    @property
    def nbytes(self) -> int:
        """Bytes on device and host."""
        return sum(each.nbytes for each in (self.reward, self.goes_on, self.terminal, self._ahead, self._powers))

    def set(self, n_step: int, discount: float) -> None:
        """Draw windows of another kind from now on."""
        powers = (discount ** torch.arange(n_step + 1, dtype=torch.float64)).float()
        if n_step == len(self._ahead):
            self._powers.copy_(powers, non_blocking=True)  # in place: a captured graph reads it there
        else:
            self.layout += 1
            self._ahead = torch.arange(n_step, device=self._device)  # [n_step]
            self._powers = powers.to(self._device)  # discount**0 to discount**n_step
        self.n_step, self.discount = n_step, discount

    def write(self, row: int, reward: float, terminated: bool) -> None:
        """Write what came of the action taken at a row."""
        self.reward.put(row, float(reward))
        self.goes_on.put(row, not terminated)
        self.terminal.put(row, bool(terminated))

    def clear(self, row: int) -> None:
        """Make a row one to bootstrap from only."""
        for column in (self.reward, self.goes_on, self.terminal):
            column.put(row, 0)

    def at(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of the windows that start at `index` [B]: returns [B], discounts [B], rows [B] to bootstrap from."""
        n, goes_on = self.n_step, self.goes_on.tensor
        if n == 1:  # the same in a quarter of the operations: what is drawn goes on or is terminal
            on = goes_on.index_select(0, index)
            last = (index + on) % self._capacity
            return self.reward.tensor.index_select(0, index), on * self._powers[1], last
        rows = ((index[:, None] + self._ahead) % self._capacity).view(-1)
        rewards = self.reward.tensor.index_select(0, rows).view(-1, n)
        # reached[:, k]: the episode goes on from the start to k + 1 rows ahead. The row beyond a terminal
        # cannot be reached; the one for the last observation of an episode cut short can, its reward is 0.
        reached = goes_on.index_select(0, rows).view(-1, n).float().cumprod(1)
        returns = rewards[:, 0] + (rewards[:, 1:] * reached[:, :-1] * self._powers[1:n]).sum(1)
        steps = reached.sum(1).long()
        last = (index + steps) % self._capacity
        # After n steps the last row may itself be a terminal one, but then that lies beyond the window.
        terminal = self.terminal.tensor.index_select(0, last) & (steps < n)
        discount = self._powers.index_select(0, steps).masked_fill_(terminal, 0.0)
        return returns, discount, last
