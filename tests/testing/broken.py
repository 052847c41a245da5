"""Plugins each of which breaks one law, and a sound one of each kind."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from attrs import define, field, frozen
from torch import Tensor, nn

from plastic.core.edits import Edit, Overwrite
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.plugin import LIVE
from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.validators import between

# ------------------------------------------------------------------ sound


@frozen(eq=False)
class Halve(PlasticityIntervention):
    """Halve all weights now and then.

    Attributes:
        share: What stays of them.
        when: The moments.
    """

    name = "halve"
    changes = frozenset({"parameters", "copies", "optimizer state"})
    share: float = field(default=0.5, validator=between(0, 1))
    when: Schedule = Every(1_000)

    def edits(self, subject: Subject) -> Iterable[Edit]:
        for name, _ in subject.model.named_parameters():
            yield Overwrite(name, lambda weight: self.share * weight)


@frozen(eq=False)
class Pull(PlasticityIntervention):
    """Add the squared weights to the loss."""

    name = "pull"
    changes = frozenset({"gradients"})
    strength: float = 0.01

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        squares = [parameter.square().sum() for parameter in model.parameters() if parameter.requires_grad]
        return self.strength * torch.stack(squares).sum()


@frozen(eq=False)
class Mean(Probe):
    """The mean of the first parameter."""

    name = "mean"
    when: Schedule = Every(1_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        return {"first": next(iter(subject.model.parameters())).detach().mean()}


# ------------------------------------------------------------------ broken


@frozen(eq=False)
class InertOption(Halve):
    """An option that nobody reads."""

    name = "inert_option"
    unread: float = 1.0


@frozen(eq=False)
class Inert(OptimizerModifier):
    """Says that it changes gradients, and does not."""

    name = "inert"
    changes = frozenset({"gradients"})
    strength: float = 1.0


@frozen(eq=False)
class Writes(Halve):
    """Writes the weights itself."""

    name = "writes"

    def edits(self, subject: Subject) -> Iterable[Edit]:
        with torch.no_grad():
            for parameter in subject.model.parameters():
                parameter.mul_(self.share)
        return ()


@frozen(eq=False)
class Forgetful(Halve):
    """Does not declare that copies change."""

    name = "forgetful"
    changes = frozenset({"parameters", "optimizer state"})


@frozen(eq=False)
class Boastful(Halve):
    """Declares a change that never happens."""

    name = "boastful"
    changes = frozenset({"parameters", "copies", "optimizer state", "knobs"})


@frozen(eq=False)
class Hooked(Mean):
    """Leaves a hook."""

    name = "hooked"

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        next(iter(subject.model.children())).register_forward_hook(lambda *_: None)
        return super(Hooked, self).measure(subject)  # noqa: UP008  # a slotted class made anew


@frozen(eq=False)
class GlobalDraw(OptimizerModifier):
    """Draws from torch's global generator in an update."""

    name = "global_draw"
    changes = frozenset({"gradients"})
    size: float = 0.01

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        return losses, {name: g + self.size * torch.randn_like(g) for name, g in gradients.items()}


@frozen(eq=False)
class PythonDraw(Halve):
    """Draws from Python's global generator."""

    name = "python_draw"

    def edits(self, subject: Subject) -> Iterable[Edit]:
        share = self.share * random.random()
        for name, _ in subject.model.named_parameters():
            yield Overwrite(name, lambda weight: share * weight)


@frozen(eq=False)
class BatchWriter(Mean):
    """Changes the batch."""

    name = "batch_writer"

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        subject.inputs[0].mul_(2)
        return super(BatchWriter, self).measure(subject)  # noqa: UP008


@frozen(eq=False)
class GradientLeft(Mean):
    """Calls backward."""

    name = "gradient_left"

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        with torch.enable_grad():
            subject.loss(subject.model).mean().backward()
        return super(GradientLeft, self).measure(subject)  # noqa: UP008


@frozen(eq=False)
class WritingProbe(Mean):
    """A probe that writes."""

    name = "writing_probe"

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        with torch.no_grad():
            next(iter(subject.model.parameters())).mul_(2)
        return super(WritingProbe, self).measure(subject)  # noqa: UP008


@frozen(eq=False)
class BreaksGraph(Pull):
    """A penalty with a number in it that is read from the device."""

    name = "breaks_graph"

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        squares = torch.stack([parameter.square().sum() for parameter in model.parameters()]).sum()
        print(end="")  # what no graph holds
        return self.strength * squares if squares.item() > 0 else 0 * squares


@frozen(eq=False)
class HostTensor(OptimizerModifier):
    """Adds what it makes on the host, wherever the weights are."""

    name = "host_tensor"
    changes = frozenset({"gradients"})
    size: float = 0.1

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        return losses, {name: gradient + torch.full(gradient.shape, self.size) for name, gradient in gradients.items()}


@frozen(eq=False)
class HostCopy(OptimizerModifier):
    """Copies from the host within an update, for which a GPU waits."""

    name = "host_copy"
    changes = frozenset({"gradients"})
    size: float = 0.1

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        for gradient in gradients.values():
            gradient.copy_(torch.full(gradient.shape, self.size))
        return losses, gradients


@frozen(eq=False)
class Masked(OptimizerModifier):
    """Selects by a mask, whose entries only the device counts."""

    name = "masked"
    changes = frozenset({"gradients"})
    size: float = 2.0

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        for gradient in gradients.values():
            gradient[gradient > 0] *= self.size
        return losses, gradients


@define(eq=False)
class Counting(OptimizerModifier):
    """Its gradients grow with a number that Python counts, which a recorded update does not see."""

    name = "counting"
    changes = frozenset({"gradients"})
    updates: int = field(default=0, init=False)

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        self.updates += 1
        return losses, {name: gradient * self.updates for name, gradient in gradients.items()}


@define(eq=False)
class Amnesiac(PlasticityIntervention):
    """Counts in a field that no checkpoint holds."""

    name = "amnesiac"
    changes = frozenset({"parameters", "copies", "optimizer state"})
    share: float = 0.5
    when: Schedule = Every(1_000)
    count: int = field(default=0, init=False, metadata=LIVE)

    def edits(self, subject: Subject) -> Iterable[Edit]:
        self.count += 1
        share = self.share**self.count
        for name, _ in subject.model.named_parameters():
            yield Overwrite(name, lambda weight: share * weight)


@define(eq=False)
class Unwritable(Halve):
    """Keeps what a checkpoint cannot hold."""

    name = "unwritable"
    kept: Any = field(factory=nn.ReLU, init=False)


@frozen(eq=False)
class Waits(OptimizerModifier):
    """Reads a number from the device in every update."""

    name = "waits"
    changes = frozenset({"gradients"})
    size: float = 2.0

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        size = self.size * float(losses.mean())
        return losses, {name: size * gradient for name, gradient in gradients.items()}


@frozen(eq=False)
class Raises(Halve):
    """Fails when it should act."""

    name = "raises"

    def edits(self, subject: Subject) -> Iterable[Edit]:
        raise KeyError("nothing here")


@frozen(eq=False)
class NotEdits(Halve):
    """Gives something else than edits."""

    name = "not_edits"

    def edits(self, subject: Subject) -> Iterable[Edit]:
        return [("head.weight", 0.0)]  # type: ignore[list-item]


@frozen(eq=False)
class Elsewhere(Halve):
    """Names a parameter that is nowhere."""

    name = "elsewhere"

    def edits(self, subject: Subject) -> Iterable[Edit]:
        return [Overwrite("attic.weight", torch.zeros(1))]


@frozen(eq=False)
class Nameless(Halve):
    """Has no name of its own kind."""

    name = None  # type: ignore[assignment]
