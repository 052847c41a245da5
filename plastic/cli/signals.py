"""Ctrl-C and SIGTERM: the first asks the run to stop with a checkpoint, the second ends at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from plastic.core.runs.run import Run


@define
class Caught:
    """The first signal that came, if one did."""

    first: signal.Signals | None = None

    @property
    def exit_code(self) -> int | None:
        """128 and the signal's number, as a shell gives it."""
        return None if self.first is None else 128 + self.first


@contextmanager
def stopping(run: "Run") -> Iterator[Caught]:
    """Inside, a first signal sets `run.stop`, and a second one raises KeyboardInterrupt.

    Nothing is printed from here: the signal may have come in the middle of a print.
    """
    caught = Caught()

    def handle(number: int, frame: FrameType | None) -> None:
        if caught.first is not None:
            raise KeyboardInterrupt
        caught.first = signal.Signals(number)
        run.stop = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
