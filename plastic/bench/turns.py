"""Timing by turns: whatever else a machine does meets all that is compared alike."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

LEAST = 3  # rounds, whatever time they take
SLOW = 2.0  # seconds: what takes longer, and more than a quarter of the time there is, is timed once


@frozen
class Quartiles:
    """The quartiles of a sample."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[np.float64]) -> "Quartiles":
        """Of numbers [n].

        >>> Quartiles.of([1.0, 2.0, 3.0, 4.0, 5.0])
        Quartiles(lower=2.0, median=3.0, upper=4.0)
        """
        return cls(*(float(q) for q in np.quantile(np.asarray(values), (0.25, 0.5, 0.75))))

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.lower:.3f}, {self.upper:.3f}]"


@define(eq=False)
class Timed:
    """Something to time, and the seconds by the clock that it took, round by round.

    Attributes:
        work: A call does it `times` times.
        times: See there; the seconds are those of one time.
        seconds: Of each round.
    """

    work: Callable[[], object]
    times: int = 1
    seconds: list[float] = field(factory=list, init=False)

    def __call__(self) -> float:
        """Do it; the seconds of the whole call."""
        began = time.perf_counter()
        self.work()
        took = time.perf_counter() - began
        self.seconds.append(took / self.times)
        return took

    @property
    def median(self) -> float:
        """In seconds."""
        return Quartiles.of(self.seconds).median

    def over(self, other: "Timed") -> Quartiles:
        """The ratio of its time to another's, round by round; of the medians if they were not timed alike often."""
        if len(self.seconds) != len(other.seconds):
            return Quartiles.of([self.median / other.median])
        return Quartiles.of(np.array(self.seconds) / np.array(other.seconds))

    def beside(self, other: "Timed") -> Quartiles:
        """Its seconds as the other's median times the ratio, which what else the machine does disturbs less."""
        if self is other:
            return Quartiles.of(self.seconds)
        ratio = self.over(other)
        return Quartiles(*(other.median * one for one in (ratio.lower, ratio.median, ratio.upper)))


def take_turns(timed: Sequence[Timed], seconds: float, progress: Callable[[float], None] = lambda share: None) -> int:
    """Time everything round by round, first forwards, then backwards; the number of rounds.

    Everything is done once before, which does not count; but what takes more than a quarter of the time at that (and
    two seconds) is timed by it alone, and sits the rounds out.

    Args:
        timed: What to time.
        seconds: About how long, by the clock.
        progress: Told after each round what share of the time has passed.
    """
    began = time.perf_counter()
    taking: list[Timed] = []
    for one in timed:
        if one() <= max(SLOW, seconds / 4):
            one.seconds.clear()
            taking.append(one)
    rounds = 0
    while taking and (rounds < LEAST or time.perf_counter() - began < seconds):
        for one in taking if rounds % 2 == 0 else reversed(taking):
            one()
        rounds += 1
        progress(min(1.0, (time.perf_counter() - began) / seconds))
    return rounds
