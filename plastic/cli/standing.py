"""How a run stands: what a listener has heard, and the pace and the time left that follow from it."""

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from plastic.cli.wording import count, score, span
from plastic.core.runs.listener import Listener, Record
from plastic.core.runs.run_folder import read_metrics

if TYPE_CHECKING:
    from plastic.core.runs.run import Run

TICK = 0.25  # seconds between two looks at the clock of the run
_LOOKS = 240  # the pace is that of the last minute


class Standing(Listener):
    """Keeps what is worth showing; `changed` is called when something is.

    Args:
        now: Seconds of a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._next = 0.0
        self._looks: deque[tuple[float, int]] = deque(maxlen=_LOOKS)
        self._scores: deque[float] = deque(maxlen=20)
        self._learning = False
        self.phase = ""
        self.steps = 0
        self.total = 0
        self.updates = 0
        self.loss = ""  # the main learner's, in words

    def changed(self) -> None:
        """A look was taken, or the phase is another."""

    def started(self, run: "Run") -> None:
        """Take in where the run is; the games of an earlier session count in the mean."""
        self.total = run.recipe.steps
        if run.folder.metrics.exists():
            for record in read_metrics(run.folder.metrics):
                self._heed(record)
        self._look(run)

    def stepped(self, run: "Run") -> None:
        """Look at the clock now and then: this is called at every step."""
        if run.stop:
            self._look(run)
            self._enter("writing a checkpoint")
        elif self._now() >= self._next:
            self._look(run)

    def _look(self, run: "Run") -> None:
        now = self._now()
        self._next = now + TICK
        counts = run.clock.now
        self.steps, self.updates = counts.agent_steps, counts.updates
        learning = self.updates > 0
        if learning != self._learning:  # steps without updates are much faster: they foretell nothing
            self._looks.clear()
            self._learning = learning
        self._looks.append((now, self.steps))
        self._enter("training" if learning else "random actions")

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self.changed()

    def recorded(self, record: Record) -> None:
        """Take in scores and losses."""
        self._heed(record)

    def _heed(self, record: Record) -> None:
        if record["kind"] == "episode":
            if _finite(record["score"]):
                self._scores.append(record["score"])
        elif record["kind"] == "train":
            losses = ((key, value) for key, value in record.items() if key.endswith("loss") and _finite(value))
            self.loss = next((f"{key.replace('/', ' ')} {value:.3g}" for key, value in losses), "")

    def evaluating(self, run: "Run", games: int) -> None:
        """Say so; the pace begins anew after it."""
        self._look(run)
        self._looks.clear()
        self._next = 0.0
        what = "final evaluation" if self.steps >= self.total else "evaluation"
        self._enter(f"{what} of {count(games, 'game')}")

    @property
    def pace(self) -> float | None:
        """Agent steps a second, lately; None until there are two looks."""
        if len(self._looks) < 2:
            return None
        (began, first), (ended, last) = self._looks[0], self._looks[-1]
        return (last - first) / (ended - began) if ended > began else None

    @property
    def left(self) -> float | None:
        """Seconds of training left; None before the pace of learning is known."""
        return (self.total - self.steps) / self.pace if self._learning and self.pace else None

    def facts(self) -> list[str]:
        """What is known, the most wanted first."""
        known = [f"{self.steps:,} of {self.total:,} steps"]
        if self.pace is not None:
            known.append(f"{self.pace:,.0f} steps/s" if self.pace >= 10 else f"{self.pace:.1f} steps/s")
        if self.left is not None:
            known.append(f"{span(self.left)} left")
        if self._scores:
            mean = sum(self._scores) / len(self._scores)
            known += [f"last game {score(self._scores[-1])}", f"mean of {len(self._scores)} {score(mean)}"]
        if self.loss:
            known.append(self.loss)
        known.append(count(self.updates, "update"))
        return known


def _finite(value: float | None) -> bool:
    """Whether it is a number to be shown; in a file of metrics, None stands for what is not finite."""
    return value is not None and math.isfinite(value)
