"""What the parts of an update take: each second counts for the innermost part it was spent in."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

from attrs import define, field

from plastic.bench.workload import Workload
from plastic.core.agent import Agent
from plastic.core.intervention import PlasticityIntervention
from plastic.core.learning.lagged_copy import LaggedCopy
from plastic.core.learning.learner import Learner
from plastic.core.learning.update import Evaluation
from plastic.core.modifier import OptimizerModifier

BATCH = "batch and priorities"
AUGMENT = "augmentation"
LOSSES = "losses and gradients"
OPTIMIZER = "optimizer"
COPIES = "lagged copies"
PLUGINS = "plugins"
REST = "the rest of the learner"
PARTS = (BATCH, AUGMENT, LOSSES, OPTIMIZER, COPIES, PLUGINS, REST)


@define(eq=False)
class _Stopwatch:
    settle: Callable[[], None]
    seconds: defaultdict[str, float] = field(factory=lambda: defaultdict(float))
    _open: list[str] = field(factory=list)
    _since: float = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        self.settle()
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


def parts(workload: Workload, updates: int) -> Mapping[str, float]:
    """Seconds of one update by part, the mean over this many; what plugins do between updates is not among them.

    On a GPU there is a wait behind each part. A recorded update has no parts, so its recording is put aside meanwhile.
    """
    watch = _Stopwatch(workload.settle)
    agent = workload.assembly.agent
    with ExitStack() as wrapped, _carried_out(agent):
        for owner, method, part in _seams(agent):
            wrapped.enter_context(_charged(watch, owner, method, part))
        for _ in range(updates):
            workload.assembly.clock.advance(updates=1)
            agent.update()
            workload.assembly.clock.tick()
    return {part: watch.seconds[part] / updates for part in PARTS}


@contextmanager
def _carried_out(agent: Agent) -> Iterator[None]:
    """Inside, updates are carried out operation by operation, where a run has them recorded and replayed."""
    capture, agent.capture = agent.capture, None
    try:
        yield
    finally:
        agent.capture = capture


def _seams(agent: Agent) -> set[tuple[type[Any], str, str]]:
    found: set[tuple[type[Any], str, str]] = {
        (type(agent), "update", BATCH),
        (Learner, "prepare", REST),
        (Learner, "learn", REST),
        (Evaluation, "__call__", LOSSES),
        (LaggedCopy, "follow", COPIES),
    }
    for learner in agent.learners.values():
        found.add((type(learner.objective), "augment", AUGMENT))
        found.add((type(learner.optimizer), "step", OPTIMIZER))
        for plugin in learner.plugins:
            if isinstance(plugin, OptimizerModifier):
                found |= {(type(plugin), "gradients", PLUGINS), (type(plugin), "after_step", PLUGINS)}
            if isinstance(plugin, PlasticityIntervention):
                found.add((type(plugin), "penalty", PLUGINS))
    return found


@contextmanager
def _charged(watch: _Stopwatch, owner: type[Any], method: str, part: str) -> Iterator[None]:
    # On the class, since instances may have slots; put back as it was, inherited or its own.
    own = method in vars(owner)
    original = getattr(owner, method)

    @wraps(original)
    def timed(*arguments: Any, **more: Any) -> Any:
        with watch.part(part):
            return original(*arguments, **more)

    setattr(owner, method, timed)
    try:
        yield
    finally:
        if own:
            setattr(owner, method, original)
        else:
            delattr(owner, method)
