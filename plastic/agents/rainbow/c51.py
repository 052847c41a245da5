"""Returns as a distribution over fixed atoms (C51; Bellemare et al., 2017, arXiv:1707.06887)."""

import torch
from torch import Tensor

from plastic.core.errors import UsageError


def atoms(v_min: float, v_max: float, count: int) -> Tensor:
    """The support z [count]: values evenly spaced from `v_min` to `v_max`, both included.

    >>> atoms(-1.0, 1.0, 5)
    tensor([-1.0000, -0.5000,  0.0000,  0.5000,  1.0000])

    Raises:
        UsageError: for fewer than two atoms, or v_min not below v_max.
    """
    if count < 2:
        raise UsageError(f"a distribution of returns needs at least 2 atoms, not {count}")
    if not v_min < v_max:
        raise UsageError(f"v_min must be below v_max, but they are {v_min} and {v_max}")
    steps = torch.arange(count, dtype=torch.float64)
    return (v_min + (v_max - v_min) * steps / (count - 1)).float()  # rounded once: the middle of ±10 is 0


def project(probabilities: Tensor, returns: Tensor, discount: Tensor, support: Tensor) -> Tensor:
    """The distribution of returns + discount * Z, brought back to the atoms (Algorithm 1): [B, N].

    Every atom's mass goes to its two neighbours in proportion to nearness; what falls outside goes to the
    end atoms. Stated from the receiving side, as eq. 7 does: atom i takes of atom j's mass
    max(0, 1 - |b_j - i|), b_j being where j lands, counted in atoms. So an atom that lands on another
    (l == u in Algorithm 1) needs no special case, nothing is lost, and no scatter adds up in an order that a
    GPU chooses.

    Args:
        probabilities: [B, N] of Z, at the state the window ends in.
        returns: [B], the sum of rewards of the window.
        discount: [B], 0 where it ended in a terminal.
        support: [N], evenly spaced, as `atoms` gives it.
    """
    last = support.shape[0] - 1
    low, high = support[0], support[-1]
    landing = ((returns[:, None] + discount[:, None] * support - low) * (last / (high - low))).clamp(0, last)
    places = torch.arange(last + 1, device=support.device, dtype=support.dtype)
    # [B, giving j, receiving i]
    share = (landing[:, :, None] - places).abs_().neg_().add_(1).relu_()
    return share.mul_(probabilities[:, :, None]).sum(1)


def cross_entropy(target: Tensor, log_probabilities: Tensor) -> Tensor:
    """-sum_i target_i log p_i over the last axis: losses [B] from [B, N] and [B, N]."""
    return -(target * log_probabilities).sum(-1)


def expected(probabilities: Tensor, support: Tensor) -> Tensor:
    """Expected returns [...] of distributions [..., N]."""
    return (probabilities * support).sum(-1)
