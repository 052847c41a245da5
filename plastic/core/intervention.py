"""Interventions: plugins that change the network or its training to keep it able to learn."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn

from plastic.core.edits import Edit
from plastic.core.plugin import Plugin
from plastic.core.subject import Subject

Lag = Callable[[str], Mapping[str, Tensor]]
BuildStage = Literal["activation", "normalisation", "wrap"]
BUILD_STAGES: tuple[BuildStage, ...] = ("activation", "normalisation", "wrap")


class PlasticityIntervention(Plugin):
    """Layer norm, CReLU, reset, injection, ReDo, L2 init ...: every seam's default is its identity."""

    stage: ClassVar[BuildStage] = "wrap"  # where `build` stands; the user's order decides within one

    def build(self, model: nn.Module) -> nn.Module:
        """The model to train, before the optimizer exists; `model` may be changed in place.

        Called again for every `Subject.fresh()`, so it must not touch the plugin's own state.
        """
        return model

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Before the first update, and again whenever a module was replaced."""

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor | float:
        """A scalar added to the loss; part of every evaluation of it, of SAM's both too."""
        return 0.0

    def edits(self, subject: Subject) -> Iterable[Edit]:
        """What to change now; asked after the updates that `when` says, seeing earlier plugins' results.

        A generator runs to its end before the first of its edits is written.
        """
        return ()

    def renewed(self, names: Collection[str]) -> None:
        """Parameters of these names began anew, by this plugin's edit or another's: whole, their moments cleared."""
