"""Continual backprop."""

from collections.abc import Collection, Iterator
from typing import Literal

import torch
from attrs import define, field, validators
from torch import Tensor, nn

from plastic.core.edits import Edit, Overwrite
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.layers import members
from plastic.core.plugin import LIVE, example
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.activations import activations
from plastic.core.units.recycling import recycled
from plastic.core.units.unit_numbers import drawn_anew, layout, places, refitted
from plastic.core.units.wires import Wires, folded, mean_size, passed_on
from plastic.core.units.wiring import hidden, wiring
from plastic.core.validators import between

_SOON = {"rate": 0.3, "maturity": 0}  # what it takes to see anything within a few updates


@define(eq=False)
class ContinualBackprop(PlasticityIntervention):
    """Redraw a few units of least utility again and again (Dohare et al., 2024, doi:10.1038/s41586-024-07711-7).

    The utility of a unit is a running mean of y = mean |outgoing weight| * mean |h|. Of the units of a layer older
    than `maturity` the fraction `rate` is replaced at each update, those of least utility. What is not a whole unit
    is kept for later. A new unit's incoming weights are drawn anew from the layer's own initialisation (the paper
    has its own uniform one), its outgoing ones are 0, and what the old one added on average, its outgoing weights
    times a running mean of h, goes into the biases of the layers that read it.

    One departure: the official code looks at every update and at its training batch; here it is at `when`, on the
    batch to look at. Running means, ages and the number that is due count all updates since the last look.

    Attributes:
        rate: Of the mature units, per update; 1e-4 in the paper's reinforcement learning.
        maturity: Updates that a new unit is left alone.
        decay: Of the running means, per update.
        utility: `contribution` is y; `adaptable` is mean |outgoing| * mean |h - its running mean| / mean |incoming|.
        layers: Which layers' units, by the layer's path.
        step: What becomes of the step counts of the parameters in which the entries lie; their moments are cleared.
        when: The looks.
    """

    name = "continual_backprop"
    changes = frozenset({"parameters", "optimizer state"})
    rate: float = field(default=1e-4, validator=between(0, 1), metadata=example(0.3, maturity=0))
    maturity: int = field(default=10_000, validator=between(0), metadata=example(3, rate=0.3))
    decay: float = field(default=0.99, validator=[between(0), validators.lt(1)], metadata=example(0.1, **_SOON))
    utility: Literal["contribution", "adaptable"] = field(
        default="contribution",
        validator=validators.in_(("contribution", "adaptable")),
        metadata=example("adaptable", **_SOON),
    )
    layers: str = field(default="whole", metadata=example("head", **_SOON))
    step: Literal["clear", "keep"] = field(
        default="keep", validator=validators.in_(("clear", "keep")), metadata=example("clear", **_SOON)
    )
    when: Schedule = Every(100)
    looked: int = field(default=0, init=False)  # the update of the last look
    wired: str = field(default="", init=False)  # layer:units:columns:members ..., whose the numbers below are
    ages: Tensor | None = field(default=None, init=False)  # [units], updates since it was drawn
    utilities: Tensor | None = field(default=None, init=False)  # [units], the running mean
    means: Tensor | None = field(default=None, init=False)  # [columns], of the values behind the activation
    owed: Tensor | None = field(default=None, init=False)  # [layers * members], fractions of a unit
    _wires: list[Wires] | None = field(default=None, init=False, metadata=LIVE)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Refuse layers that are not there now, not hours later."""
        hidden(model, self.layers)
        self._wires = None

    def renewed(self, names: Collection[str]) -> None:
        """The units of a layer that was drawn anew are new."""
        for units, columns, _ in drawn_anew(self.wired, names):
            for numbers, where in ((self.ages, units), (self.utilities, units), (self.means, columns)):
                assert numbers is not None  # all are made together
                numbers[where] = 0

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """Look; new values for the entries of the units that are due, and for the biases behind them."""
        if self._wires is None:
            self._wires = wiring(subject.model, subject.inputs, self.layers)
        self._fit(subject.model, self._wires)
        updates, self.looked = subject.clock.now.updates - self.looked, subject.clock.now.updates
        values = activations(subject.model, subject.inputs)
        chosen = {}
        shifts: dict[str, Tensor] = {}
        for wires, where in zip(self._wires, places(self.wired).values(), strict=True):
            worst, means = self._look(subject.model, wires, values[wires.units], updates, where)
            if worst.any():
                chosen[wires] = worst
                for name, shift in passed_on(subject.model, wires, means * worst[wires.unit_of]).items():
                    shifts[name] = shifts[name] + shift if name in shifts else shift
        for name, shift in shifts.items():
            bias = subject.model.get_parameter(name).detach()
            # of this bias only a unit that is new itself loses its moments, below
            yield Overwrite(name, bias + shift, where=shift != 0, copies="none", moments="keep")
        if chosen:
            yield from recycled(subject.model, subject.fresh(), chosen, step=self.step)

    def _look(
        self, model: nn.Module, wires: Wires, values: Tensor, updates: int, where: tuple[slice, ...]
    ) -> tuple[Tensor, Tensor]:
        """Which units are due, [units], and the corrected running means, [columns]; both then begin anew for them."""
        assert self.ages is not None
        assert self.utilities is not None
        assert self.means is not None
        assert self.owed is not None
        units, columns, layers = where
        age, utility, mean, owed = self.ages[units], self.utilities[units], self.means[columns], self.owed[layers]
        keep = self.decay**updates
        age += updates
        seen = 1 - self.decay**age  # the part of a running mean that is of this unit
        mean.lerp_(_over_batch(values), 1 - keep)
        corrected = mean / seen[wires.unit_of].clamp(min=1e-9)
        utility.lerp_(self._contribution(model, wires, values, corrected), 1 - keep)
        mature = (age > self.maturity).view(owed.numel(), -1)
        # so many of them, one after the other, as if each update had replaced its part
        owed += mature.sum(1) * (1 - (1 - self.rate) ** updates)
        due = owed.floor()
        owed -= due
        worth = (utility / seen.clamp(min=1e-9)).view_as(mature).masked_fill(~mature, torch.inf)
        rank = worth.argsort(dim=1, stable=True).argsort(1)
        worst = ((rank < due[:, None]) & mature).flatten()
        age[worst], utility[worst] = 0, 0
        mean[worst[wires.unit_of]] = 0
        return worst, corrected

    def _contribution(self, model: nn.Module, wires: Wires, values: Tensor, means: Tensor) -> Tensor:
        outgoing = mean_size(model.get_parameter, wires.outgoing, means.numel())
        if self.utility == "adaptable":
            values = values - means.view(-1, *(1 for _ in values.shape[2:]))
        each = folded(wires, (outgoing * _over_batch(values.abs())).unsqueeze(0)).mean(0)
        if self.utility == "contribution":
            return each
        return each / mean_size(model.get_parameter, wires.incoming, wires.count).clamp(min=1e-9)

    def _fit(self, model: nn.Module, found: list[Wires]) -> None:
        """Numbers for the layers as they are now; those of layers that are as they were stay."""
        wired = layout(
            {w.units.layer: (w.count, w.unit_of.numel(), members(model.get_submodule(w.units.layer))) for w in found}
        )
        if wired != self.wired:
            kept = ((self.ages, 0), (self.utilities, 0), (self.means, 1), (self.owed, 2))
            device = found[0].unit_of.device
            self.ages, self.utilities, self.means, self.owed = (
                refitted(numbers, kind, self.wired, wired, device) for numbers, kind in kept
            )
            self.wired = wired


def _over_batch(values: Tensor) -> Tensor:
    """[B, columns, ...] -> [columns]."""
    return values.transpose(0, 1).flatten(1).mean(1)
