"""Sharpness-aware minimisation."""

from typing import Literal

import torch
from attrs import field, frozen
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import Lag
from plastic.core.layers.noisy import RANDOM, noises
from plastic.core.modifier import Draw, Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.plugin import Need
from plastic.core.schedule import Always, Schedule
from plastic.core.units.selection import selects
from plastic.core.validators import between

_ENCODER_GRAD = "encoder_grad"
_DRAWS: dict[str, Draw] = {"noise": "noise", "augmentation": "augmentation", "target": "target"}


def _draws(instance: object, attribute: object, value: str) -> None:
    for word in _words(value):
        if word not in _DRAWS:
            raise ValueError(f"redraw must be `none` or some of {' + '.join(_DRAWS)}, not {value!r}")


def _words(text: str) -> list[str]:
    return [] if text == "none" else text.split("+")


@frozen(eq=False)
class SAM(OptimizerModifier):
    """Step with the gradient at w + rho g / |g| instead of at w (Foret et al., 2021, arXiv:2010.01412).

    The norm is one over all parameters in scope, noisy deviations included. Out of scope nothing is
    moved for the second pass; every parameter steps with the second pass' gradient.

    By default the second pass draws the noise of noisy layers anew and keeps augmentation and
    bootstrap target, which saves the work of computing them twice. PLASTIC's Atari code redraws all
    three (`redraw=noise+augmentation+target`, as the presets of that paper do), its control code none.

    Attributes:
        rho: Radius of the neighbourhood, in the L2 norm of the weights.
        scope: The part of the network that is moved: `whole`, `encoder`, `head`, or a path. With
            `encoder_grad`, what PLASTIC's control code calls `only_enc`, the whole network is moved, but only
            the encoder steps with the gradient there, and the rest with that of the first pass.
        adaptive: Scale by the weights, |w| and |w| squared (ASAM, Kwon et al., 2021, arXiv:2102.11600).
        redraw: What the second pass draws anew: some of `noise+augmentation+target`, or `none`.
        noiseless: Take the first pass at the means of the noisy layers, and without dropout.
        priority: Which pass' losses become the priorities of a prioritised replay; `perturbed` is PLASTIC's code.
        when: At which updates; the others are plain steps.
    """

    name = "sam"
    claims = frozenset({"ascent"})
    changes = frozenset({"gradients"})
    needs = frozenset({"weights"})
    rho: float = field(default=0.1, validator=between(0))
    scope: str = "whole"
    adaptive: bool = False
    redraw: str = field(default="noise", validator=_draws)
    noiseless: bool = False
    priority: Literal["clean", "perturbed"] = "clean"
    when: Schedule = Always()

    def needed(self) -> frozenset[Need]:
        """Priorities, if some are to be written."""
        return self.needs if self.priority == "perturbed" else frozenset()

    def shown(self, model: nn.Module) -> None:
        """Refuse a pass without noise where there is none."""
        if self.noiseless and not noises(model) and not any(isinstance(module, RANDOM) for module in model.modules()):
            raise NothingToActOn("sam: noiseless=true is for noisy layers and dropout, and here are neither")

    def start(self, params: Parameters, lag: Lag) -> None:
        """Refuse a scope in which nothing is trained."""
        wanted = "encoder" if self.scope == _ENCODER_GRAD else self.scope
        if not any(selects(wanted, name) for name in params):
            raise NothingToActOn(f"sam: no trained parameter matches scope={self.scope}")

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        """Two passes: up along the gradient, and the gradient there."""
        losses, first = evaluate(noise=not self.noiseless)
        kept = self._kept(first)
        moved = self._moved(params, first)
        redraw = frozenset(_DRAWS[word] for word in _words(self.redraw))
        perturbed, gradients = evaluate({**params, **moved}, redraw)
        return (perturbed if self.priority == "perturbed" else losses), {**gradients, **kept}

    def _kept(self, first: Gradients) -> Gradients:
        if self.scope != _ENCODER_GRAD:
            return {}
        return {name: gradient.clone() for name, gradient in first.items() if not selects("encoder", name)}

    @torch.no_grad()
    def _moved(self, params: Parameters, gradients: Gradients) -> Parameters:
        scope = "whole" if self.scope == _ENCODER_GRAD else self.scope
        names = [name for name in params if selects(scope, name)]
        weights = [params[name].detach() for name in names]
        ascent = [gradients[name] for name in names]
        if self.adaptive:
            sizes = torch._foreach_abs(weights)
            torch._foreach_mul_(ascent, sizes)
        norm = torch.stack(torch._foreach_norm(ascent)).norm()
        if self.adaptive:
            torch._foreach_mul_(ascent, sizes)
        # In the gradients' own memory, which nobody reads again; 1e-12: where the gradient vanishes there
        # is no direction, and no NaN
        torch._foreach_mul_(ascent, self.rho / (norm + 1e-12))
        torch._foreach_add_(ascent, weights)
        return dict(zip(names, ascent, strict=True))
