"""Resets of the last layers."""

from collections.abc import Iterator
from typing import Literal

from attrs import frozen
from torch import nn

from plastic.core.edits import Edit, Forget, Overwrite
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.selection import matching


@frozen(eq=False)
class Reset(PlasticityIntervention):
    """Initialise layers anew now and then and keep the replay buffer (Nikishin et al., 2022, arXiv:2205.07802).

    Every parameter of the layers is drawn anew, norms and noisy deviations included, and the same
    fresh values go into the lagged copies. The optimizer forgets moments and step count of what was
    drawn anew; PLASTIC's Atari code rebuilds the whole optimizer instead.

    Attributes:
        layers: What is reset. Everything but the encoder: on Atari PLASTIC's head, from pixels of the control
            suite trunk, head and temperature, from states all there is. SPR on Atari has the output layers
            alone (`head.*.2`).
        optimizer: What the optimizer forgets: the state of these `layers`, or of `all` parameters.
        when: 40,000 updates is the interval of every Atari-100k source, whatever the replay ratio.
    """

    name = "reset"
    changes = frozenset({"parameters", "copies", "optimizer state"})
    reach = "everything"
    layers: str = "not-encoder"
    optimizer: Literal["layers", "all"] = "layers"
    when: Schedule = Every(40_000)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Refuse layers that are not there now, not hours later."""
        matching(model, self.layers)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """Fresh values for the parameters of `layers`."""
        fresh = subject.fresh()
        for name, _ in matching(subject.model, self.layers):
            yield Overwrite(name, fresh.get_parameter(name))
        if self.optimizer == "all":
            yield Forget([name for name, _ in subject.model.named_parameters()])
