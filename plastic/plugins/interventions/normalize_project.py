"""Normalize-and-Project."""

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from attrs import define, field
from torch import Tensor, nn

from plastic.core.edits import Edit, Overwrite
from plastic.core.errors import UsageError
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.layers import MemberNorm, NormAxes, members
from plastic.core.plugin import LIVE
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.normalising import normalise
from plastic.core.units.selection import hidden_layers, selects
from plastic.core.units.unit_graph import trainable, unit_graph

_EPS = 1e-12


@define(eq=False)
class NormalizeProject(PlasticityIntervention):
    """Normalise hidden layers and keep their weights at their first norm (NaP, Lyle et al., 2024, arXiv:2407.01800).

    Behind a norm the size of the weights does not matter to the output but divides the effective learning rate, which
    decays while they grow. So, now and then, the weights of each hidden layer (of noisy ones the means) are rescaled
    to the norm they began with, and biases and noisy deviations by the same factor: what the norm gives stays the
    same. Each member of an ensemble has a norm of its own. The lagged copies are rescaled alike. The optimizer's
    moments stay. After a reset the norm is that of the new weights.

    Attributes:
        layers: Which hidden layers; each gets a layer norm unless the network has one there.
        axes: As for layer_norm.
        affine: What becomes of scales and shifts: `project` keeps their joint norm, too, one of the paper's ways;
            `free` lets them learn; `none` makes norms without any.
        when: The weights' projections; in the paper's Rainbow every 1,000 steps did as well as every one. Plasticine
            has 10,000 agent steps.
    """

    name = "normalize_project"
    claims = frozenset({"normalisation"})
    changes = frozenset({"structure", "parameters", "copies"})
    stage = "normalisation"
    layers: str = "whole"
    axes: NormAxes = "channel"
    affine: Literal["project", "free", "none"] = "project"
    when: Schedule = Every(1_000)
    _origin: Mapping[str, Tensor] = field(factory=dict, init=False, metadata=LIVE)

    def build(self, model: nn.Module) -> nn.Module:
        """Put a norm before the activation of each selected layer that has none."""
        selected = hidden_layers(model, self.layers, self.name)
        for units in selected:
            _weights(model, units.layer)
        normalise(model, [u for u in selected if not u.norms], self.axes, affine=self.affine != "none")
        return model

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Keep the first weights for their norms; every edit reaches them."""
        self._origin = lag("normalize_project")

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """The layers that learn, and their norms, rescaled."""
        for units in unit_graph(subject.model):  # of which none may be selected any more, after an injection
            if selects(self.layers, units.layer) and trainable(subject.model, units):
                yield from self._layer(subject.model, units.layer)
                for norm in units.norms if self.affine == "project" else ():
                    yield from self._norm(subject.model, norm)

    def _layer(self, model: nn.Module, path: str) -> Iterator[Edit]:
        name, others = _weights(model, path)
        several = members(model.get_submodule(path)) > 1
        length = _norms(self._origin[name], several)

        def rescaled(own: Tensor, weights: Tensor) -> Tensor:
            return _scaled(own, length / _norms(weights, several).clamp(min=_EPS))

        for other in others:  # before the weights, whose norm says how much
            yield Overwrite(other, rescaled, moments="keep", given=(name,))
        yield Overwrite(name, rescaled, moments="keep", given=(name,))

    def _norm(self, model: nn.Module, path: str) -> Iterator[Edit]:
        scale, shift = f"{path}.weight", f"{path}.bias"
        if scale not in self._origin or shift not in self._origin:
            return
        several = isinstance(model.get_submodule(path), MemberNorm)
        length = torch.hypot(_norms(self._origin[scale], several), _norms(self._origin[shift], several))

        def shifted(own: Tensor, scales: Tensor) -> Tensor:
            joint = torch.hypot(_norms(own, several), _norms(scales, several))
            return _scaled(own, length / joint.clamp(min=_EPS))

        def scaled(own: Tensor, shifts: Tensor) -> Tensor:  # what the shifts, rescaled by now, leave of the length
            left = (length.square() - _norms(shifts, several).square()).clamp(min=0).sqrt()
            return _scaled(own, left / _norms(own, several).clamp(min=_EPS))

        yield Overwrite(shift, shifted, moments="keep", given=(scale,))
        yield Overwrite(scale, scaled, moments="keep", given=(shift,))


def _weights(model: nn.Module, path: str) -> tuple[str, list[str]]:
    """The name of a layer's weights, and those of its other parameters."""
    names = [name for name, _ in model.get_submodule(path).named_parameters(recurse=False)]
    for weights in ("weight", "weight_mu"):
        if weights in names:
            return f"{path}.{weights}", [f"{path}.{name}" for name in names if name != weights]
    raise UsageError(f"normalize_project: nothing says which parameter of {path} is its weights; choose other layers")


def _norms(values: Tensor, several: bool) -> Tensor:
    """One norm, or one of each member: [members]."""
    norms: Tensor = values.flatten(1).norm(dim=1) if several else values.norm()
    return norms


def _scaled(values: Tensor, factor: Tensor) -> Tensor:
    """Times one factor, or each member's by its own."""
    return values * (factor.reshape(-1, *[1] * (values.dim() - 1)) if factor.dim() else factor)
