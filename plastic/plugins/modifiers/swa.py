"""Stochastic weight averaging."""

from collections.abc import Collection, Hashable, Mapping

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

    Training is untouched. The mean starts anew when whole parameters begin anew (a reset) or a module is
    replaced: a mean over old and fresh heads is the weight of neither. Until it holds
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
    count: Tensor = field(factory=lambda: torch.zeros(()), init=False)  # weights in the mean
    begun: bool = field(default=False, init=False)  # whether there are any
    _average: Mapping[str, Tensor] = field(factory=dict, init=False, metadata=LIVE)

    @property
    def evaluation(self) -> str | None:
        """The mean, once something is in it."""
        return "swa" if self.begun else None

    def start(self, params: Parameters, lag: Lag) -> None:
        """Begin an empty mean."""
        self._average = lag("swa")
        self.count = torch.zeros((), device=next(iter(params.values())).device)
        self.begun = False

    def prepare(self, due: Hashable) -> None:
        """From this update on there is a mean."""
        self.begun = True

    def after_step(self, params: Parameters, lr: float | Tensor) -> None:
        """n <- n + 1, mean <- mean + (w - mean) / n."""
        names = list(self._average)
        average = [self._average[name] for name in names]
        weights = [params[name] for name in names]
        self.count += 1
        share = self.count.reciprocal()  # one for each tensor: as a number it would have to come from the device
        torch._foreach_lerp_(average, weights, [share] * len(average))

    def renewed(self, names: Collection[str]) -> None:
        """Begin again."""
        self.count.zero_()
        self.begun = False
