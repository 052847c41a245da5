"""Plasticity injection."""

from collections.abc import Collection, Iterator
from copy import deepcopy
from typing import Literal

import torch
from attrs import define, field
from torch import Tensor, nn

from plastic.core.edits import Edit, Replace
from plastic.core.errors import NothingToActOn, suggestion
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.layers.noisy import noises
from plastic.core.modules import reinitialised
from plastic.core.plugin import LIVE, example
from plastic.core.schedule import At, Schedule
from plastic.core.subject import Subject
from plastic.core.units.active_fraction import active_fraction, can_be_counted
from plastic.core.units.selection import matching, selects
from plastic.core.validators import between


class Injected(nn.Module):
    """h(z) + h1(z) - h2(z): the old head, a new trained one, and a frozen copy of the new one."""

    def __init__(self, old: nn.Module, new: nn.Module, *, freeze: bool, third_term: bool) -> None:
        super().__init__()
        self.old = old.requires_grad_(False) if freeze else old
        self.new = new
        self.new_frozen: nn.Module | None = None
        if third_term:
            # one sample of noise for both: with two, they would not cancel
            shared = {id(noise): noise for noise in noises(new)}
            self.new_frozen = deepcopy(new, shared).requires_grad_(False)

    def forward(self, *inputs: Tensor) -> Tensor:
        """As the old head; gradients reach the inputs through all three."""
        output: Tensor = self.old(*inputs) + self.new(*inputs)
        return output if self.new_frozen is None else output - self.new_frozen(*inputs)


@define(eq=False)
class PlasticityInjection(PlasticityIntervention):
    """Freeze the head and add a new one that starts at zero (Nikishin et al., 2023, arXiv:2305.15555).

    The output is the same right after as right before, and so is the number of trained parameters.
    The encoder learns on, through all three terms. Lagged copies get the same surgery and the same
    new head. Distributional heads are added as logits. Injected again, the sum so far is frozen.

    Attributes:
        module: The path of the module that is injected.
        third_term: False leaves the frozen copy out: the output jumps (an ablation of the paper).
        freeze: False lets the old head learn on (an ablation of the paper).
        trigger: `time` injects whenever `when` says so; `weight_norm` then checks whether the
            module's norm has grown so many times since it was last drawn; `active_units` whether
            its fraction of active units has sunk so low. The paper names such a criterion without
            giving one; these are ours.
        threshold: Of the trigger: growth of the norm, 2 if left out, or fraction of active units,
            0.1 if left out. `time` has none.
        most: How many injections at the most.
        when: A quarter of an Atari-100k run at replay ratio 2, as 50 of 200 million frames in the paper.
    """

    name = "plasticity_injection"
    changes = frozenset({"structure", "optimizer state", "copies"})
    reach = "main"
    module: str = "head"
    third_term: bool = True
    freeze: bool = True
    trigger: Literal["time", "weight_norm", "active_units"] = "time"
    threshold: float | None = None
    most: int | None = field(
        default=None, validator=between(1), metadata=example(1, when={"every": 2, "of": "updates"})
    )
    when: Schedule = At(50_000)
    injections: int = field(default=0, init=False)
    norm: Tensor | None = field(default=None, init=False)  # of the module when it was last drawn
    _model: nn.Module | None = field(default=None, init=False, metadata=LIVE)

    def __attrs_post_init__(self) -> None:
        match self.trigger:
            case "time" if self.threshold is not None:
                raise ValueError("trigger=time has no threshold; leave it out, or choose another trigger")
            case "weight_norm" if self.threshold is not None and self.threshold <= 1:
                raise ValueError(f"threshold must be above 1 for trigger=weight_norm, not {self.threshold:g}")
            case "active_units" if self.threshold is not None and not 0 <= self.threshold <= 1:
                raise ValueError(f"threshold must be between 0 and 1 for trigger=active_units, not {self.threshold:g}")

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Remember the module's norm; refuse a module that is not there, or has nothing to watch."""
        known = [path for path, _ in model.named_modules(remove_duplicate=False) if path]
        if self.module not in known:
            raise NothingToActOn(f"plasticity_injection: no module {self.module!r}; {suggestion(self.module, known)}")
        if self.trigger == "active_units" and not can_be_counted(model, self.module):
            raise NothingToActOn(
                f"plasticity_injection: {self.module} has no hidden layer that can be off, for trigger=active_units"
            )
        self._model = model
        self.norm = self._norm(model)

    def renewed(self, names: Collection[str]) -> None:
        """Remember its norm anew where it was reset."""
        if self._model is not None and any(selects(self.module, name) for name in names):
            self.norm = self._norm(self._model)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """The surgery, if it is due."""
        if (self.most is None or self.injections < self.most) and self._pulled(subject):
            self.injections += 1
            yield Replace(self.module, self.inject)

    def inject(self, module: nn.Module) -> nn.Module:
        """`module` with a new head of the kind it had at first."""
        base = module
        while isinstance(base, Injected):
            base = base.new
        new = reinitialised(deepcopy(base)).requires_grad_(True)
        return Injected(module, new, freeze=self.freeze, third_term=self.third_term)

    def _pulled(self, subject: Subject) -> bool:
        match self.trigger:
            case "time":
                return True
            case "weight_norm":
                growth = 2.0 if self.threshold is None else self.threshold
                return self.norm is not None and bool(self._norm(subject.model) >= growth * self.norm)
            case "active_units":
                share = 0.1 if self.threshold is None else self.threshold
                return bool(active_fraction(subject, self.module) <= share)

    def _norm(self, model: nn.Module) -> Tensor:
        trained = [p.detach() for _, p in matching(model, self.module) if p.requires_grad]
        norm: Tensor = torch.stack(torch._foreach_norm(trained)).norm()
        return norm
