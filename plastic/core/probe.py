"""Probes: plugins that measure and change nothing."""

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from plastic.core.plugin import Plugin
from plastic.core.subject import Subject


class Probe(Plugin):
    """Active units, dormant units, ranks, norms, curvature ..."""

    def start(self, model: nn.Module) -> None:
        """Before the first update, and again whenever a module was replaced: refuse what cannot be measured here."""

    @abstractmethod
    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """Scalars by name (`encoder`, `head`, `total`, ...), on the subject's device."""
