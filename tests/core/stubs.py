"""The smallest networks, objectives and plugins that a learner can be tried with."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from attrs import define, field, frozen
from torch import Tensor, nn

from plastic.core.edits import Edit, Replace
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import NoisyLinear
from plastic.core.learning.learner import Learner
from plastic.core.modifier import MakeOptimizer
from plastic.core.objective import Objective
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.schedule import Always, Clock, Counts, Schedule
from plastic.core.subject import Subject

ADAM: MakeOptimizer = partial(torch.optim.Adam, lr=1e-2)
SGD: MakeOptimizer = partial(torch.optim.SGD, lr=0.1)


class Net(nn.Module):
    """An encoder and a head of two layers: 4 inputs, 2 outputs."""

    def __init__(self, linear: Callable[[int, int], nn.Module] = nn.Linear, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.Identity() if norm is None else norm, nn.ReLU())
        self.head = nn.Sequential(linear(6, 5), nn.ReLU(), linear(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.encoder(x))
        return y


def noisy_net() -> nn.Module:
    return Net(NoisyLinear)


def norm_net() -> nn.Module:
    return Net(norm=nn.BatchNorm1d(6))


class Fit(Objective):
    """Squared distances to a copy's outputs, plus one; all that is drawn and computed is written down."""

    def __init__(self, importance: Tensor | None = None) -> None:
        self.calls: Counter[str] = Counter()
        self.augmented: list[Tensor] = []  # of each evaluation
        self.targets: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.importance = importance

    def augment(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        self.calls["augment"] += 1
        return batch + 0.1 * torch.randn(batch.shape, generator=generator)

    def target(self, model: nn.Module, copies: Mapping[str, nn.Module], batch: Tensor) -> Tensor:
        self.calls["target"] += 1
        outputs: Tensor = copies["target"](batch) if "target" in copies else torch.zeros(len(batch), 2)
        return outputs + 1

    def losses(self, model: nn.Module, batch: Tensor, target: Tensor) -> Tensor:
        self.calls["losses"] += 1
        outputs = model(batch)
        self.augmented.append(batch)
        self.targets.append(target)
        self.outputs.append(outputs.detach().clone())
        losses: Tensor = (outputs - target).square().sum(1)
        return losses

    def weights(self, batch: Tensor) -> Tensor | None:
        return self.importance

    def inputs(self, batch: Tensor) -> tuple[Tensor, ...]:
        return (batch,)

    def sample(self, generator: torch.Generator) -> Tensor:
        self.calls["sample"] += 1
        return torch.randn(16, 4, generator=generator)


def learner_with(
    *plugins: Plugin,
    make: Callable[[], nn.Module] = Net,
    objective: Objective | None = None,
    optimizer: MakeOptimizer = ADAM,
    total: int = 0,
    target: bool = True,
    **options: Any,
) -> Learner:
    """A learner of a small net, its copy `target` following it half of the way."""
    learner = Learner(
        "fit",
        make,
        Fit() if objective is None else objective,
        optimizer,
        plugins=plugins,
        clock=Clock(total=Counts(updates=total)),
        **options,
    )
    if target:
        learner.follow("target", rate=0.5)
    return learner


def batch_of(update: int) -> Tensor:
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(update))


def train(learner: Learner, updates: int) -> list[dict[str, Tensor]]:
    """So many updates with their ticks, as a run does them; the measurements of each."""
    measured = []
    for _ in range(updates):
        learner.clock.advance(updates=1, agent_steps=1)
        learner.update(batch_of(learner.clock.now.updates))
        measured.append(learner.tend())
        learner.clock.tick()
    return measured


def exact(value: Any) -> Any:
    """A nested state in a form that `==` compares bit for bit, and that training on does not change."""
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().cpu().contiguous().numpy().tobytes()
    if isinstance(value, Mapping):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [exact(item) for item in value]
    return type(value), value


@frozen(eq=False)
class Scripted(PlasticityIntervention):
    """Asks for whatever `script` says."""

    name = "scripted"
    script: Callable[[Subject], Iterable[Edit]]
    when: Schedule = Always()

    def edits(self, subject: Subject) -> Iterable[Edit]:
        return self.script(subject)


@define(eq=False)
class Widen(PlasticityIntervention):
    """Puts the module at `path` in a sequence with a new linear layer, and counts what is told to it."""

    name = "widen"
    path: str = "head"
    when: Schedule = Always()
    freeze: bool = False
    wrapped: int = field(default=0, init=False)
    starts: int = field(default=0, init=False)
    told: list[list[str]] = field(factory=list, init=False)

    def start(self, model: nn.Module, lag: Any) -> None:
        self.starts += 1

    def edits(self, subject: Subject) -> Iterable[Edit]:
        self.wrapped += 1
        yield Replace(self.path, self.wrap)

    def wrap(self, module: nn.Module) -> nn.Module:
        if self.freeze:
            module.requires_grad_(False)
        return nn.Sequential(module, nn.Linear(2, 2))

    def renewed(self, names: Any) -> None:
        self.told.append(list(names))


@frozen(eq=False)
class Looking(Probe):
    """Measures whatever `look` says."""

    name = "looking"
    look: Callable[[Subject], Mapping[str, Tensor]]
    when: Schedule = Always()

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        return self.look(subject)


@frozen
class Whenever(Schedule):
    """A schedule that recipes have no word for."""

    def __call__(self, clock: Clock) -> bool:
        return True

    def __str__(self) -> str:
        return "whenever"
