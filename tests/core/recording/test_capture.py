"""Recording and replaying."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from attrs import define, field
from torch import Tensor

from plastic.core.recording.capture import _MOST, Capture, Recording


@define(eq=False)
class Counting:
    """A recorder that does the work again, and counts."""

    device: torch.device = field(factory=lambda: torch.device("cpu"))
    rehearsed: int = 0
    recorded: int = 0
    replayed: int = 0
    given: list[list[torch.Generator]] = field(factory=list)

    def rehearse(self, work: Callable[[], Any]) -> Any:
        self.rehearsed += 1
        return work()

    def record(self, work: Callable[[], Any], generators: Iterable[torch.Generator]) -> Recording[Any]:
        self.recorded += 1
        self.given.append(list(generators))
        result = work()

        def replay() -> Any:
            self.replayed += 1
            return work()

        return Recording(replay, result)

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.rehearsed, self.recorded, self.replayed


def double(values: Tensor) -> Tensor:
    return values * 2


def test_the_first_is_carried_out_the_second_recorded_and_more_are_replayed() -> None:
    recorder, generator = Counting(), torch.Generator()
    capture = Capture(recorder, lambda: [generator], lambda: 0)
    counts = []
    for value in (1.0, 2.0, 3.0, 4.0):
        assert capture("double", double, torch.tensor([value])).tolist() == [2 * value]
        counts.append(recorder.counts)
    assert counts == [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 1, 2)]
    assert recorder.given == [[generator]]


def test_work_that_draws_nothing_takes_no_generator_along() -> None:
    recorder = Counting()
    capture = Capture(recorder, lambda: [torch.Generator()], lambda: 0)
    for _ in range(2):
        capture("double", double, torch.ones(1), draws=False)
    assert recorder.given == [[]]


def test_each_kind_has_a_recording_of_its_own_and_each_shape() -> None:
    recorder = Counting()
    capture = Capture(recorder, list, lambda: 0)
    for _ in range(3):
        for kind, shape in (("one", 2), ("other", 2), ("one", 5)):
            assert capture(kind, double, torch.ones(shape)).tolist() == [2.0] * shape
    assert recorder.counts == (3, 3, 3)


def test_of_many_the_least_recently_used_recording_is_forgotten() -> None:
    recorder = Counting()
    capture = Capture(recorder, list, lambda: 0)
    for kind in range(_MOST + 1):
        for _ in range(2):
            capture(kind, double, torch.ones(1))
        capture(1 if kind else 0, double, torch.ones(1))  # which keeps it
    recorded = recorder.recorded
    capture(1, double, torch.ones(1))
    capture(_MOST, double, torch.ones(1))
    assert recorder.recorded == recorded
    capture(0, double, torch.ones(1))
    assert recorder.recorded == recorded + 1


def test_all_is_forgotten_and_rehearsed_again_when_something_lies_elsewhere() -> None:
    recorder, layouts = Counting(), iter((1, 1, 1, 2, 2, 2, 2))
    capture = Capture(recorder, list, lambda: next(layouts))
    counts = []
    for _ in range(6):
        capture("double", double, torch.ones(1))
        counts.append((*recorder.counts, len(capture._recorded)))
    assert counts == [(1, 0, 0, 0), (1, 1, 0, 1), (1, 1, 1, 1), (2, 1, 1, 0), (2, 2, 1, 1), (2, 2, 2, 1)]
