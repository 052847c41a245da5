"""Probes: plugins that measure and change nothing."""

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from plastic.core.plugin import Plugin
from plastic.core.subject import Subject


class Probe(Plugin):
    """Active units, dormant units, ranks, norms, curvature ..."""

    @abstractmethod
    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """Scalars by name (`encoder`, `head`, `total`, ...), on the subject's device."""
