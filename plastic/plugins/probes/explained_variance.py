"""Explained variance of the predicted returns."""

from collections.abc import Mapping

import torch
from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject


def explained(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - Var(target - prediction) / Var(target) over the samples [B]; NaN where the targets do not vary.

    >>> explained(torch.tensor([1.0, 3.0, 4.0]), torch.tensor([0.0, 3.0, 3.0])).item()
    0.8888...
    """
    spread = target.var(correction=0)
    return torch.where(spread > 0, 1 - (target - prediction).var(correction=0) / spread, torch.nan)


@frozen(eq=False)
class ExplainedVariance(Probe):
    """1 - Var(target - prediction) / Var(target) of the returns predicted for a batch (Lee et al., 2023, their code).

    1 is a prediction that is right up to a constant, 0 one as good as any constant, and below 0 one that is worse.
    The targets are those of the loss, bootstrapped from the target network. Of a distribution of returns, prediction
    and target are the expected ones, `value`; of twin critics there is one for each, `member0` and `member1`. NaN
    where the targets do not vary.

    Attributes:
        when: At which updates.
    """

    name = "explained_variance"
    needs = frozenset({"values"})
    when: Schedule = Every(1_000)

    @torch.no_grad()
    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """Of each network that predicts."""
        prediction, target = subject.values(subject.model)
        if prediction.dim() == 1:
            return {"value": explained(prediction, target)}
        return {f"member{place}": explained(one, target) for place, one in enumerate(prediction.unbind(1))}
