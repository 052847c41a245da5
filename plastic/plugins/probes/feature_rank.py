"""Ranks of the features."""

from collections.abc import Mapping

import torch
from attrs import field, frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.activations import features
from plastic.core.validators import between


def srank(singular: Tensor, delta: float = 0.01) -> Tensor:
    """Smallest k with (s_1 + ... + s_k) / (s_1 + ... + s_n) >= 1 - delta (Kumar et al., 2021, arXiv:2010.14498).

    >>> srank(torch.tensor([98.0, 1.5, 0.5]), 0.01).item()
    2
    """
    running = singular.cumsum(0)
    share = running / running[-1]  # the last is exactly 1, so that no rounding makes the rank n + 1
    rank: Tensor = (share < 1 - delta).sum() + 1
    return rank


def effective_rank(singular: Tensor) -> Tensor:
    """exp of the entropy of s / sum(s) (Roy and Vetterli, 2007).

    >>> round(effective_rank(torch.ones(4)).item(), 4)
    4.0
    """
    share = singular / singular.sum()
    rank: Tensor = torch.special.entr(share).sum().exp()
    return rank


def stable_rank(singular: Tensor) -> Tensor:
    """|A|_F^2 / |A|_2^2, which is not srank although it has been called so.

    >>> stable_rank(torch.tensor([2.0, 1.0])).item()
    1.25
    """
    rank: Tensor = singular.square().sum() / singular.max().square()
    return rank


@frozen(eq=False)
class FeatureRank(Probe):
    """Three ranks of the features [samples, width], each under its own name: srank, effective, stable.

    The features of the encoder are its last layer's, flattened; those of a head are what its output
    layers read (Rainbow: the hidden layer of each stream). Each member of an ensemble has features of
    its own, `head.member0/srank` and on. Features that vanished, or are not finite, have no rank: NaN.

    Attributes:
        delta: What srank leaves out of the singular values' sum.
        when: At which updates; a singular value decomposition each.
    """

    name = "feature_rank"
    delta: float = field(default=0.01, validator=between(0, 1))
    when: Schedule = Every(10_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """For the features of each module."""
        return {
            f"{of}/{kind}": rank
            for of, seen in features(subject.model, subject.inputs).items()
            for kind, rank in self._ranks(seen).items()
        }

    def _ranks(self, seen: Tensor) -> dict[str, Tensor]:
        # svdvals raises on what is not finite; a run that has come to that ends with its own error
        singular = torch.linalg.svdvals(torch.where(torch.isfinite(seen).all(), seen, 0.0))
        return {
            "srank": _defined(srank(singular, self.delta), singular),
            "effective_rank": _defined(effective_rank(singular), singular),
            "stable_rank": stable_rank(singular),
        }


def _defined(rank: Tensor, singular: Tensor) -> Tensor:
    return torch.where(singular.sum() > 0, rank.to(singular), torch.nan)
