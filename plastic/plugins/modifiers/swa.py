"""Stochastic weight averaging."""

from collections.abc import Collection, Mapping

import torch
from attrs import define, field
from torch import Tensor

from plastic.core.intervention import Lag
from plastic.core.modifier import OptimizerModifier, Parameters
from plastic.core.plugin import LIVE
from plastic.core.schedule import Every, Schedule


@define(eq=False)
class SWA(OptimizerModifier):
    """Evaluate with the running mean of the weights (Izmailov et al., 2018, arXiv:1803.05407).

    Training is untouched. The mean starts anew when an intervention overwrites whole parameters or
    replaces a module: a mean over old and fresh heads is the weight of neither. Until it holds
    something, evaluation uses what it would use without.

    Attributes:
        when: After which updates the weights enter the mean. The papers average over the last 40,000
            updates; their period is lost, 100 is ours.
    """

    name = "swa"
    claims = frozenset({"evaluation copy"})
    changes = frozenset({"evaluation"})
    stage = "average"
    when: Schedule = Every(100, start=-40_000)
    count: int = field(default=0, init=False)  # weights in the mean
    _average: Mapping[str, Tensor] = field(factory=dict, init=False, metadata=LIVE)

    @property
    def evaluation(self) -> str | None:
        """The mean, once something is in it."""
        return "swa" if self.count else None

    def start(self, params: Parameters, lag: Lag) -> None:
        """Begin an empty mean."""
        self._average = lag("swa")
        self.count = 0

    def after_step(self, params: Parameters, lr: float) -> None:
        """mean <- (n mean + w) / (n + 1)."""
        names = list(self._average)
        average = [self._average[name] for name in names]
        weights = [params[name] for name in names]
        torch._foreach_lerp_(average, weights, 1 / (self.count + 1))
        self.count += 1

    def edited(self, names: Collection[str]) -> None:
        """Begin again."""
        self.count = 0
