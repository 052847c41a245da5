"""Hare and tortoise networks."""

from collections.abc import Hashable, Mapping
from typing import Literal

import torch
from attrs import define, field
from torch import Tensor

from plastic.core.intervention import Lag
from plastic.core.modifier import OptimizerModifier, Parameters
from plastic.core.plugin import LIVE, Claim
from plastic.core.schedule import Clock, Every, Schedule
from plastic.core.validators import between


@define(eq=False)
class HareTortoise(OptimizerModifier):
    """Put the weights back to their own slow average now and then (Lee et al., 2024, arXiv:2406.02596).

    The trained network is the hare. Its tortoise follows after every update, slow <- m slow + (1 - m) fast, and now
    and then fast <- slow. Values are copied: the two never share memory. The optimizer's state is left alone.
    Whatever edits the hare's weights edits the tortoise's: after a reset both have the same fresh head.

    The paper copies buffers back as well; here the tortoise's are the hare's after every update, so that there is
    nothing to copy.

    Attributes:
        momentum: m, the share of itself that the tortoise keeps at an update.
        evaluate: Who acts in evaluation: whoever does so without this plugin, or the tortoise.
        when: After which updates the hare returns; the tortoise follows after each. The paper's period is 10 epochs of
            a data set, which reinforcement learning has not; 4,000 updates are ours, four times the 1 / (1 - m) that
            the tortoise looks back.
    """

    name = "hare_tortoise"
    claims = frozenset({"weights after a step", "evaluation copy"})
    changes = frozenset({"parameters", "evaluation"})
    stage = "weights"
    momentum: float = field(default=0.999, validator=between(0, 1))
    evaluate: Literal["agent", "tortoise"] = "agent"
    when: Schedule = Every(4_000)
    _returns: bool = field(default=False, init=False, metadata=LIVE)  # at the update that is under way
    _tortoise: Mapping[str, Tensor] = field(factory=dict, init=False, metadata=LIVE)

    def claimed(self) -> frozenset[Claim]:
        """The evaluation only where the tortoise is evaluated."""
        return self.claims if self.evaluate == "tortoise" else self.claims - {"evaluation copy"}

    def due(self, clock: Clock) -> Hashable:
        """At every update, for the tortoise; at some the hare returns."""
        return "return" if self.when(clock) else "follow"

    def prepare(self, due: Hashable) -> None:
        """Which of the two this update is."""
        self._returns = due == "return"

    @property
    def evaluation(self) -> str | None:
        """The tortoise, if it is wanted."""
        return "tortoise" if self.evaluate == "tortoise" else None

    def start(self, params: Parameters, lag: Lag) -> None:
        """The tortoise starts where the hare does."""
        self._tortoise = lag("tortoise")

    def after_step(self, params: Parameters, lr: float | Tensor) -> None:
        """The tortoise follows, and when its time has come, the hare returns to it."""
        slow = list(self._tortoise.values())
        fast = [params[name] for name in self._tortoise]
        torch._foreach_lerp_(slow, fast, 1 - self.momentum)
        if self._returns:
            torch._foreach_copy_(fast, slow)
