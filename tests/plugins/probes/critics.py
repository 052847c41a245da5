"""Probes that look at twin critics."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from plastic.core.learning.learner import Learner
from plastic.core.objective import Objective
from plastic.core.probe import Probe
from plastic.core.schedule import Clock, Counts
from plastic.core.units.activations import activations
from tests.core.layers.critics import Critic, member, pair
from tests.plugins.learners import SGD, measure


class Zero(Objective):
    """Every value should be 0."""

    def losses(self, model: nn.Module, batch: Any, target: Any) -> Tensor:
        return model(*batch).square().mean(1)  # type: ignore[no-any-return]

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        return tuple(batch)

    def sample(self, generator: torch.Generator) -> Any:
        return pair()


def critic() -> nn.Module:
    """Twin critics some of whose units are dead, and not the same in both."""
    torch.manual_seed(0)
    model = Critic()
    with torch.no_grad():
        for place, dead in (("head.0", [(0, 1), (0, 4), (1, 2)]), ("head.2", [(1, 0), (1, 3), (1, 5)])):
            for number, unit in dead:
                model.get_parameter(f"{place}.bias")[number, unit] = -100.0
        model.get_parameter("head.2.weight")[0] *= 20  # the second critic's units are small beside the first's
    return model


def probed(model: nn.Module, probe: Probe) -> dict[str, float]:
    """What the probe measures of the critics."""
    return measure(Learner("critic", lambda: model, Zero(), SGD, plugins=(probe,), clock=Clock(total=Counts())))


def values_one_by_one(model: nn.Module) -> list[dict[str, Tensor]]:
    """The values behind each layer in a network of the first critic alone, and in one of the second."""
    found = []
    for number in range(2):
        alone = activations(member(deepcopy(model), number), pair())
        found.append({units.layer: values for units, values in alone.items()})
    return found
