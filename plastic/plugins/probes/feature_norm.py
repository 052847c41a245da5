"""Norm of the features."""

from collections.abc import Mapping

from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.activations import features


@frozen(eq=False)
class FeatureNorm(Probe):
    """Mean over samples of the L2 norm of their features.

    The features are those of `feature_rank`: what the last layer of the encoder gives, flattened, and what the output
    layers of a head read (Rainbow: the hidden layer of each stream); each member of an ensemble has its own.

    Attributes:
        when: At which updates.
    """

    name = "feature_norm"
    when: Schedule = Every(1_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """For the features of each module."""
        return {of: seen.norm(dim=1).mean() for of, seen in features(subject.model, subject.inputs).items()}
