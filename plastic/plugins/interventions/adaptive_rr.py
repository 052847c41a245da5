"""Adaptive replay ratio."""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import Attribute, define, field
from torch import Tensor, nn

from plastic.core.edits import Edit, Tune
from plastic.core.errors import NothingToActOn
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.plugin import example
from plastic.core.schedule import Clock, Every, Schedule
from plastic.core.subject import Subject
from plastic.core.units.active_fraction import active_fraction, can_be_counted
from plastic.core.validators import between


def _regular(instance: object, attribute: "Attribute[Any]", value: Schedule) -> None:
    if not isinstance(value, Every):
        raise ValueError(f"{attribute.name} must be regular, {{every = N, of = ...}}, not {value}")
    if value.start < 0 or value.stop is not None:  # the window before a check is found by counting from the beginning
        raise ValueError(f"{attribute.name} must count from the run's beginning and go on to its end, not {value}")


_WINDOW = 50  # of the time between two checks, the last 50th is measured: the last of 50 episodes


@define(eq=False)
class AdaptiveReplayRatio(PlasticityIntervention):
    """Few updates while the critic's active units still change, then many (Ma et al., 2024, arXiv:2310.07418, alg. 1).

    At every check the fraction of active units, averaged over the updates of the last fiftieth of the time
    since the check before (the last of 50 episodes), is compared with the average before; at first with that of
    the very first update. Once they differ by no more than `tolerance`, the ratio is high, to the end.

    One departure: units are counted on `probe_batch` transitions drawn uniformly and not augmented, where the
    official code takes the training batch.

    Attributes:
        low: Updates per agent step before.
        high: And after.
        layers: Whose units; the head is what the paper calls the critic.
        tolerance: Of the fraction.
        min_checks: How many checks there must be before the ratio may rise. The first one compares with the
            untrained network, and may find no difference.
        when: The checks. The paper has 50 episodes of 1,000 frames on the control suite, and on Atari
            `{every = 2000, of = "agent_steps"}`.
    """

    name = "adaptive_rr"
    changes = frozenset({"knobs"})
    turns = frozenset({"replay_ratio"})
    reach = "main"
    low: float = field(default=0.5, validator=between(0, above=True), metadata=example(1.0, tolerance=10.0))
    high: float = field(default=2.0, validator=between(0, above=True))
    # the examples: any difference is small enough; from the second check on there is a difference between two, and
    # another in the encoder
    layers: str = field(default="head", metadata=example("encoder", low=1.0, min_checks=2, tolerance=0.03))
    tolerance: float = field(default=0.001, validator=between(0), metadata=example(0.1, low=1.0, min_checks=2))
    min_checks: int = field(default=1, validator=between(1))
    when: Schedule = field(default=Every(50, of="episodes"), validator=_regular)
    raised: bool = field(default=False, init=False)
    checks: int = field(default=0, init=False)
    before: Tensor | None = field(default=None, init=False)  # the average that the next one is compared with
    total: Tensor | None = field(default=None, init=False)  # of the fractions measured since the last check
    measured: int = field(default=0, init=False)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Refuse layers of which there are none now, not at the first check."""
        if not can_be_counted(model, self.layers):
            raise NothingToActOn(
                f"adaptive_rr: no hidden layer with an activation that can be off matches layers={self.layers}"
            )

    def settings(self) -> Mapping[str, Any]:
        """The run starts at the low ratio."""
        return {"replay_ratio": self.low}

    def due(self, clock: Clock) -> bool:
        """At the first update, in the window before each check, and at the check."""
        return not self.raised and (self.before is None or self._in_window(clock) or self.when(clock))

    def _in_window(self, clock: Clock) -> bool:
        if not isinstance(self.when, Every):  # what `plastic bench` puts in its place: a look at each of its moments
            return self.when(clock)
        passed = clock.now.of(self.when.of) - self.when.start
        return passed >= 0 and passed % self.when.period >= self.when.period - max(1, self.when.period // _WINDOW)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """Measure, compare, and raise the ratio once."""
        if self.before is None:
            self.before = active_fraction(subject, self.layers)
        if self.when(subject.clock) and self.total is not None:
            average = self.total / self.measured
            self.checks += 1
            steady = bool((average - self.before).abs() <= self.tolerance)
            self.before, self.total, self.measured = average, None, 0
            if steady and self.checks >= self.min_checks:
                self.raised = True
                yield Tune("replay_ratio", self.high)
                return
        if self._in_window(subject.clock):
            fraction = active_fraction(subject, self.layers)
            self.total = fraction if self.total is None else self.total + fraction
            self.measured += 1
