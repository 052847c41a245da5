"""Shrink and perturb."""

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from attrs import field, frozen
from torch import Tensor, nn

from plastic.core.edits import Edit, Overwrite
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.selection import matching
from plastic.core.validators import between


@frozen(eq=False)
class ShrinkPerturb(PlasticityIntervention):
    """w <- shrink * w + perturb * noise (Ash and Adams, 2020, arXiv:1910.08475).

    With `perturb` left out it is 1 - shrink and the noise a fresh initialisation: the interpolation
    of D'Oro et al. (2023) with alpha = shrink, where 1 changes nothing and 0 is a reset. With both
    given it is Ash and Adams' form. The lagged copies shrink towards the same noise.

    Attributes:
        shrink: 0.8 in SR-SPR and in the first PLASTIC paper, 0.6 in its released scripts.
        perturb: Weight of the noise.
        noise: A newly initialised network, or a Gaussian of that one's root mean square.
        layers: What is shrunk; the papers leave the head to a reset at the same moment.
        moments: Whether the optimizer's moments of these layers are cleared or kept.
        when: At the moments of the reset.
    """

    name = "shrink_perturb"
    changes = frozenset({"parameters", "copies", "optimizer state"})
    shrink: float = field(default=0.8, validator=between(0, 1))
    perturb: float | None = field(default=None, validator=between(0))
    noise: Literal["fresh", "gaussian"] = "fresh"
    layers: str = "encoder"
    moments: Literal["clear", "keep"] = "clear"
    when: Schedule = Every(40_000)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Refuse layers that are not there now, not hours later."""
        matching(model, self.layers)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """Shrunk and perturbed values for the parameters of `layers`."""
        perturb = 1 - self.shrink if self.perturb is None else self.perturb
        if self.shrink == 1 and perturb == 0:
            return  # not even the moments change
        fresh = subject.fresh()
        for name, _ in matching(subject.model, self.layers):
            noise = self._noise(fresh.get_parameter(name).detach(), subject.generator)
            yield Overwrite(name, _mix(self.shrink, perturb, noise), moments=self.moments)

    def _noise(self, fresh: Tensor, generator: torch.Generator) -> Tensor:
        if self.noise == "fresh":
            return fresh
        size = fresh.square().mean().sqrt()
        return size * torch.randn(fresh.shape, generator=generator, device=fresh.device)


def _mix(shrink: float, perturb: float, noise: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda weight: shrink * weight + perturb * noise
