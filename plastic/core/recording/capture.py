"""Updates and actions recorded once and replayed: on a GPU as CUDA graphs, on a CPU as programs."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, Protocol, TypeVar

import torch
from attrs import define, field, frozen
from torch import Tensor

Result = TypeVar("Result")
_MOST = 16  # recordings that are kept; a CUDA graph holds the memory of its work


@frozen(eq=False)
class Recording(Generic[Result]):
    """Work that can be repeated, on the memory it was recorded on."""

    replay: Callable[[], Result]  # what it gives may lie where the next time writes again
    first: Result  # of the time that was recorded


class Recorder(Protocol):
    """What a device offers to record work."""

    device: torch.device

    def rehearse(self, work: Callable[[], Result]) -> Result:
        """Carry work out as it will be recorded, so that what is made at a first time is there."""

    def record(self, work: Callable[[], Result], generators: Iterable[torch.Generator]) -> Recording[Result]:
        """Record work and carry it out once.

        Args:
            work: Operations on tensors that stay where they are; plain numbers and branches stay as they are now.
            generators: That it may draw from.
        """


@define(eq=False)
class Capture:
    """Carries work out, and from the second time on repeats its recording.

    What is of one kind must be the same operations; the first of a kind is carried out as it is. The least recently
    used recording of many is forgotten, and all are as soon as something lies elsewhere.

    Args:
        recorder: Records.
        generators: Asked what may be drawn from, before each recording of work that draws.
        layout: Asked before each work; gives something else whenever what it works on is no longer where it was.
    """

    recorder: Recorder
    generators: Callable[[], Iterable[torch.Generator]]
    layout: Callable[[], Hashable]
    _layout: Hashable = field(default=None, init=False)
    _rehearsed: set[Hashable] = field(factory=set, init=False)
    _recorded: OrderedDict[Hashable, tuple[Recording[Any], tuple[Tensor, ...]]] = field(factory=OrderedDict, init=False)

    def __call__(self, kind: Hashable, work: Callable[..., Result], *inputs: Tensor, draws: bool = True) -> Result:
        """Do the work of this kind on `inputs`, tensors on any device; what it gives is written again next time.

        On a GPU each generator costs a replay two operations, so work that draws nothing should say so.
        """
        if (layout := self.layout()) != self._layout:
            self._layout = layout
            self._rehearsed.clear()
            self._recorded.clear()
        kind = kind, tuple((given.shape, given.dtype) for given in inputs)
        if kind in self._recorded:
            self._recorded.move_to_end(kind)
            recording, places = self._recorded[kind]
            _put(places, inputs)
            result: Result = recording.replay()
            return result
        places = tuple(torch.empty_like(given, device=self.recorder.device) for given in inputs)
        _put(places, inputs)
        if kind not in self._rehearsed:
            self._rehearsed.add(kind)
            return self.recorder.rehearse(lambda: work(*places))
        while len(self._recorded) >= _MOST:
            self._recorded.popitem(last=False)
        made = self.recorder.record(lambda: work(*places), self.generators() if draws else ())
        self._recorded[kind] = made, places
        return made.first


def _put(places: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value, non_blocking=True)
