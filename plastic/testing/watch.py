"""A trial of which every step is looked at: what changed there, and whether a look left a trace."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from attrs import define, field, frozen
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from plastic.core.edits import Edit
from plastic.core.errors import UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Change, Plugin
from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Registry
from plastic.testing.compare import copied, differences, same
from plastic.testing.invariants import faults
from plastic.testing.state import State, random_streams, story
from plastic.testing.trial import Trial
from plastic.testing.watchers import Innermost, Outermost

W = TypeVar("W", Innermost, Outermost)


@frozen(eq=False)
class Update:
    """What one update of one learner was like."""

    before: State
    after: State
    given: Mapping[str, Tensor]  # gradients as the loss gives them
    stepped: Mapping[str, Tensor]  # and as the optimizer gets them
    moved: str | None  # a parameter that changed behind the optimizer's step
    waits: int  # how often a number was asked for that lies on the device


@define(eq=False)
class Watch:
    """A trial with these plugins, run under watch; faults are whole sentences by the law they break."""

    kind: str
    chosen: Sequence[Chosen]
    registry: Registry
    steps: int
    trial: Trial = field(init=False)
    started: dict[str, State] = field(factory=dict, init=False)  # by learner
    updates: dict[tuple[str, int], Update] = field(factory=dict, init=False)  # by learner and number
    edits: dict[Change, str] = field(factory=dict, init=False)  # what edits were seen to change
    faults: dict[str, list[str]] = field(factory=dict, init=False)
    ended: dict[str, Any] = field(factory=dict, init=False)
    _streams: dict[str, Any] = field(init=False)
    _seen: dict[str, tuple[Any, Any]] = field(factory=dict, init=False)  # batches that were looked at, and copies
    _now: dict[str, State] = field(factory=dict, init=False)  # what each learner is known to be
    _waits: dict[str, int] = field(factory=dict, init=False)

    def run(self) -> "Watch":
        """Assemble and run to the end.

        Raises:
            UsageError: If the plugins are refused at the start.
        """
        self._streams = random_streams()
        watched = [Chosen("watch_innermost"), *self.chosen, Chosen("watch_outermost")]
        self.trial = trial = Trial(self.kind, watched, steps=self.steps, registry=self.registry)
        self._undrawn("when it was built")
        for name, learner in trial.learners.items():
            self._attach(name, learner)
            self._sound(name, "at the start")
        trial.warm_up()
        self.started = self._now = {name: State.of(learner) for name, learner in trial.learners.items()}
        try:
            while trial.clock.now.agent_steps < trial.steps:
                trial.act()
                for _ in range(trial.owed()):
                    self._step()
        except UsageError as error:  # too late: a run would stop here
            self.fault("runs", f"after update {trial.clock.now.updates} it is refused: {error}")
        self.ended = story(trial)
        return self

    def fault(self, law: str, sentence: str) -> None:
        """Write down that a law was broken; the first sentence is enough."""
        said = self.faults.setdefault(law, [])
        if not said:
            said.append(sentence)

    # ---------------------------------------------------------------- updates

    def _step(self) -> None:
        trial = self.trial
        before = self._now
        for learner in trial.learners.values():
            _watcher(learner, Innermost).forget()
        trial.update()
        now = trial.clock.now.updates
        self._undrawn(f"in update {now}")
        self._now = {name: State.of(learner) for name, learner in trial.learners.items()}
        for name, learner in trial.learners.items():
            inner, outer = _watcher(learner, Innermost), _watcher(learner, Outermost)
            self.updates[name, now] = Update(
                before[name],
                self._now[name],
                inner.given or {},
                outer.given,
                next(iter(differences(inner.stepped, outer.stepped)), None),
                self._waits.pop(name, 0),
            )
            self._sound(name, f"after update {now}")
        trial.tend()
        self._undrawn(f"when it looked or edited after update {now}")
        for name in trial.learners:
            self._sound(name, f"after the edits of update {now}")

    def _sound(self, name: str, moment: str) -> None:
        for fault in faults(self.trial.learners[name]):
            self.fault("invariants", f"{moment} {fault} ({name})")

    def _undrawn(self, moment: str) -> None:
        now = random_streams()
        for name in differences(self._streams, now):
            self.fault("random streams", f"{moment} it drew from the global generator of {name}; use subject.generator")
        self._streams = now

    # ---------------------------------------------------------------- looks and edits

    def _attach(self, name: str, learner: Learner) -> None:
        learner.objective = _Sampled(learner.objective, lambda batch: self._keep(name, batch))  # type: ignore[assignment]
        learn, measure, edit, write = learner.learn, learner.measure, learner.edit, learner.write

        def learnt(batch: Any) -> Tensor:
            if learner.updates > 3:  # slow, and they are all alike
                return learn(batch)
            with _Waits() as waits:  # type: ignore[no-untyped-call]  # torch's, which it inherits
                losses = learn(batch)
            self._waits[name] = waits.count
            return losses

        def measured() -> dict[str, Tensor]:
            found = measure()
            if found:
                self._untouched(name, "measure")
            for key, value in found.items():
                if not isinstance(value, Tensor) or value.dim():
                    self.fault("looks only", f"measure gives {value!r} as {key}; give a tensor of no axes")
            return found

        def edited() -> None:
            before = self._now[name]
            edit()
            if any(isinstance(plugin, PlasticityIntervention) for plugin in learner.plugins):
                if self._now[name] is before:  # nothing was due
                    self._untouched(name, "edits")
                for change, example in before.changes(self._now[name]).items():
                    self.edits.setdefault(change, f"{example} of {name} after update {learner.clock.now.updates}")

        def written(edits: Iterable[Edit], by: Plugin) -> None:
            asked = tuple(edits)
            self._untouched(name, "edits")
            write(asked, by=by)
            self._now[name] = State.of(learner)

        learner.learn = learnt  # type: ignore[method-assign]
        learner.measure = measured  # type: ignore[method-assign]
        learner.edit = edited  # type: ignore[method-assign]
        learner.write = written  # type: ignore[method-assign]

    def _keep(self, name: str, batch: Any) -> None:
        self._seen[name] = (batch, copied(batch))

    def _untouched(self, name: str, seam: str) -> None:
        before, now = self._now[name], State.of(self.trial.learners[name])
        self._now[name] = now
        for change, example in before.changes(now).items():
            remedy = "return an Overwrite" if seam == "edits" else "a probe changes nothing"
            self.fault("looks only", f"{seam} changes the {change} by itself ({example} of {name}); {remedy}")
        for place in differences(before.left, now.left):
            was, is_ = before.left.get(place, (True, 0, [])), now.left.get(place, (True, 0, []))
            if was[1] != is_[1]:
                self.fault("looks only", f"{seam} leaves a hook on {place} of {name}; remove it in a finally clause")
            if was[2] != is_[2]:
                self.fault("looks only", f"{seam} leaves a gradient on {place} of {name}; use torch.autograd.grad")
        if name in self._seen:
            batch, kept = self._seen.pop(name)
            if not same(copied(batch), kept):
                self.fault("looks only", f"{seam} changes the batch that all look at")


class _Sampled:
    """An objective that tells of the batches it gives to look at."""

    def __init__(self, objective: Any, tell: Callable[[Any], None]) -> None:
        self._objective = objective
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objective, name)

    def sample(self, generator: torch.Generator) -> Any:
        batch = self._objective.sample(generator)
        self._tell(batch)
        return batch


class _Waits(TorchDispatchMode):
    """Counts the numbers that are asked for, each of which waits for a GPU."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def _watcher(learner: Learner, kind: type[W]) -> W:
    return next(plugin for plugin in learner.plugins if isinstance(plugin, kind))
