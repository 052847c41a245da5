"""Learners with units to exchange, and what an exchange touched."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from plastic.core.intervention import PlasticityIntervention
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.schedule import Clock, Counts
from plastic.core.units.wires import Wires
from plastic.core.units.wiring import wiring
from tests.core.layers.critics import Critic
from tests.plugins.learners import ADAM, learner_of, moments, parameters, rainbow, train
from tests.plugins.probes.critics import Zero

INPUTS = torch.randn(32, 4, generator=torch.Generator().manual_seed(5))
TARGETS = torch.randn(32, 2, generator=torch.Generator().manual_seed(6))


def plain_network() -> nn.Module:
    """Two hidden layers of eight and six units."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))


def plain(*plugins: Plugin, make: Callable[[], nn.Module] = plain_network, **more: Any) -> Learner:
    """A learner of a plain torch network."""
    return learner_of(make, INPUTS, TARGETS, *plugins, optimizer=ADAM, **more)


def twins(*plugins: Plugin, **more: Any) -> Learner:
    """Twin critics on images, with a target that follows."""
    learner = Learner("critic", Critic, Zero(), ADAM, plugins=plugins, clock=Clock(total=Counts()), **more)
    learner.follow("target", rate=0.1)
    return learner


def updated(learner: Learner, updates: int = 2) -> Learner:
    """The learner after so many updates, its optimizer full of moments."""
    pairs = None if learner.name != "critic" else (lambda number: learner.objective.sample(torch.Generator()))
    train(learner, updates, batches=pairs)
    return learner


LEARNERS: dict[str, Callable[..., Learner]] = {"plain": plain, "rainbow": rainbow, "twin critics": twins}


def wires_of(learner: Learner) -> dict[str, Wires]:
    """By the layers' paths."""
    inputs = learner.objective.inputs(learner.objective.sample(torch.Generator().manual_seed(0)))
    return {wires.units.layer: wires for wires in wiring(learner.model, inputs)}


def silence(learner: Learner, layer: str, *units: int) -> None:
    """These units of the layer, numbered over all members, never fire again."""
    wires = wires_of(learner)[layer]
    with torch.no_grad():
        for entries, mask in wires.into(_marks(wires, units)):
            if entries.role == "bias":
                learner.model.get_parameter(entries.name).masked_fill_(mask, -1000.0)


def _marks(wires: Wires, units: tuple[int, ...]) -> Tensor:
    chosen = torch.zeros(wires.count, dtype=torch.bool)
    chosen[list(units)] = True
    return chosen


def entries_of(learner: Learner, layer: str, *units: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Masks of the units' incoming and outgoing entries, by parameter."""
    wires = wires_of(learner)[layer]
    chosen = _marks(wires, units)
    found: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    for masks, named in zip(found, (wires.into(chosen), wires.out_of(chosen)), strict=True):
        for entries, mask in named:
            masks[entries.name] = mask.expand(learner.model.get_parameter(entries.name).shape)
    return found


def everything(learner: Learner) -> dict[str, Tensor]:
    """Copies of all weights, lagged copies and moments, by name."""
    found = {f"model/{name}": value for name, value in parameters(learner.model).items()}
    for copy, model in learner.copies.items():
        found |= {f"{copy}/{name}": value for name, value in parameters(model).items()}
    for name in learner.params:
        found |= {f"{kind}/{name}": value for kind, value in moments(learner, name).items()}
    return found


def touched(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that are not as they were, and where."""
    return {name: before[name] != after[name] for name in before if not torch.equal(before[name], after[name])}


def outputs(learner: Learner) -> Tensor:
    """What the network gives for the batch to look at, without noise."""
    inputs = learner.objective.inputs(learner.objective.sample(torch.Generator().manual_seed(0)))
    learner.model.eval()
    with torch.no_grad():
        given: Tensor = learner.model(*inputs)
    learner.model.train()
    return given


def apply(learner: Learner, plugin: PlasticityIntervention) -> list[Any]:
    """Carry the plugin's edits out now, whatever its schedule; what they were."""
    batch = learner.objective.sample(torch.Generator().manual_seed(0))
    with learner._looking(plugin):
        edits = list(plugin.edits(learner._subject(plugin, lambda: batch)))
    learner.write(edits, by=plugin)
    return edits
