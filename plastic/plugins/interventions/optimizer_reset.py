"""Resets of the optimizer."""

from collections.abc import Iterator

from attrs import frozen
from torch import nn

from plastic.core.edits import Edit, Forget
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.selection import matching


@frozen(eq=False)
class OptimizerReset(PlasticityIntervention):
    """Clear what the optimizer remembers now and then, and keep the weights (Asadi et al., 2023, arXiv:2306.17833).

    Moments and step counts are cleared together, so that the next step is as long as a first one. Asadi et al. do it
    whenever a target network is copied hard, since the problem that was averaged over is another one then.

    Attributes:
        layers: Whose state is cleared.
        when: The moments of a reset; no paper that compares the two gives a period. With a target that is copied hard,
            the same period as its.
    """

    name = "optimizer_reset"
    changes = frozenset({"optimizer state"})
    reach = "everything"
    layers: str = "whole"
    when: Schedule = Every(40_000)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Refuse layers that are not there now, not hours later."""
        matching(model, self.layers)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """Forget all about the parameters of `layers`."""
        yield Forget([name for name, _ in matching(subject.model, self.layers)])
