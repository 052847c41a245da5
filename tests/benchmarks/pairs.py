"""Two things that are timed by turns, so that what else the machine does meets both alike."""

import gc
import time
from collections.abc import Callable

import numpy as np
from attrs import define, field
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from plastic.bench.turns import Quartiles

Work = Callable[[], object]
Make = Callable[[], Work]

PAIRS = 200
BLOCK = 40  # pairs until both are made anew, since where their tensors lie makes a difference of 2 %
WARM_UP = 3  # pairs


def _nothing() -> None:
    pass


@define
class Pairs:
    """`second` against `first`. Each call times one pair, by the clock and by the processor time of all threads."""

    first: Make
    second: Make
    _work: tuple[Work, Work] = field(init=False)
    _seconds: list[list[tuple[float, float]]] = field(factory=list, init=False)  # of each pair, its two's

    def set_up(self) -> None:
        """Before each pair: make both anew when a block begins, the other one first than before."""
        done = len(self._seconds)
        if done % BLOCK:
            return
        makes = (self.first, self.second)
        swap = done // BLOCK % 2 == 1
        self._work = (_nothing, _nothing)
        gc.collect()  # learners refer to themselves
        made = [make() for make in (reversed(makes) if swap else makes)]
        self._work = (made[1], made[0]) if swap else (made[0], made[1])
        for _ in range(WARM_UP):
            for work in self._work:
                work()

    def __call__(self) -> None:
        """One pair; every other one begins with the second."""
        seconds = [(0.0, 0.0), (0.0, 0.0)]
        for place in (0, 1) if len(self._seconds) % 2 == 0 else (1, 0):
            clock, processor = time.perf_counter(), time.process_time()
            self._work[place]()
            seconds[place] = (time.perf_counter() - clock, time.process_time() - processor)
        self._seconds.append(seconds)

    def _times(self) -> NDArray[np.float64]:
        return np.array(self._seconds)  # [pairs, 2, clock and processor]

    @property
    def ratio(self) -> Quartiles:
        """Of the second's time to the first's, by the clock."""
        times = self._times()[..., 0]
        return Quartiles.of(times[:, 1] / times[:, 0])

    @property
    def processor_ratio(self) -> Quartiles:
        """Of the second's processor time to the first's."""
        times = self._times()[..., 1]
        return Quartiles.of(times[:, 1] / times[:, 0])

    def milliseconds(self, place: int) -> float:
        """Median processor time of the first (0) or the second (1)."""
        return float(np.median(self._times()[:, place, 1])) * 1e3


def compare(benchmark: BenchmarkFixture, first: Make, second: Make, pairs: int = PAIRS) -> Pairs:
    """Time interleaved pairs; what came of it goes into the benchmark's own record, too."""
    compared = Pairs(first, second)
    benchmark.pedantic(compared, setup=compared.set_up, rounds=pairs)  # type: ignore[no-untyped-call]
    benchmark.extra_info |= {
        "ratio": compared.ratio.median,
        "quartiles": [compared.ratio.lower, compared.ratio.upper],
        "processor_ratio": compared.processor_ratio.median,
        "pairs": pairs,
    }
    return compared
