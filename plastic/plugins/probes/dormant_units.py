"""Dormant units and their overlap."""

from collections.abc import Mapping

import torch
from attrs import define, field
from torch import Tensor

from plastic.core.layers import by_member, expansion
from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.activations import activations
from plastic.core.units.selection import module_of
from plastic.core.units.unit_scores import scores


def _positive(instance: object, attribute: object, value: tuple[float, ...]) -> None:
    if not value or min(value) < 0:
        raise ValueError(f"tau must be thresholds of at least 0, not {value!r}")


@define(eq=False)
class DormantUnits(Probe):
    """Share of units whose score is at most tau (Sokar et al., 2023, arXiv:2302.12902).

    Pooled over the units of a module; each member of an ensemble is a layer of its own. `overlap/...` is
    |now & before| / min(|now|, |before|) with the dormant set of the measurement before; NaN while
    either is empty, or where the layers that learn are no longer the same.

    Attributes:
        tau: Thresholds; 0 counts units that never fire.
        when: At which updates.
    """

    name = "dormant_units"
    tau: tuple[float, ...] = field(default=(0.0, 0.025, 0.1), validator=_positive)
    when: Schedule = Every(1_000)
    before: Tensor | None = field(default=None, init=False)  # dormant [tau, units] at the last measurement
    layers_before: str = field(default="", init=False)  # and of which layers

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """By module and in total, for each tau."""
        per_layer = [
            (units.layer, scores(member, mirrored=_mirrored(subject, units.activation)))
            for units, values in activations(subject.model, subject.inputs).items()
            for member in by_member(subject.model.get_submodule(units.layer), values)
        ]
        modules = [module_of(layer) for layer, score in per_layer for _ in range(score.numel())]
        every = torch.cat([score for _, score in per_layer])
        now = torch.stack([every <= tau for tau in self.tau])
        layers = " ".join(f"{layer}:{score.numel()}" for layer, score in per_layer)
        # an injected head has as many units as the one it replaces, and they are others
        before = torch.zeros_like(now) if self.before is None or self.layers_before != layers else self.before
        self.before, self.layers_before = now, layers
        measured: dict[str, Tensor] = {}
        for key in (*dict.fromkeys(modules), "total"):
            here = torch.tensor([key in (module, "total") for module in modules], device=now.device)
            share = now[:, here].float().mean(1)
            both, smaller = (now & before)[:, here].sum(1), torch.minimum(now[:, here].sum(1), before[:, here].sum(1))
            for place, tau in enumerate(self.tau):
                measured[f"{key}/tau={tau:g}"] = share[place]
                measured[f"overlap/{key}/tau={tau:g}"] = both[place] / smaller[place]
        return measured


def _mirrored(subject: Subject, activation: str) -> bool:
    return expansion(subject.model.get_submodule(activation)) == 2
