"""Listeners: whoever wants to hear how a run goes (a terminal, a log, a picture)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plastic.core.runs.run import Result, Run

Record = Mapping[str, Any]


class Listener:
    """Hears everything and changes nothing; every method does nothing by default."""

    def started(self, run: "Run") -> None:
        """The run is assembled and begins, or goes on."""

    def stepped(self, run: "Run") -> None:
        """An agent step is over, its updates included; called at every one, so be quick."""

    def recorded(self, record: Record) -> None:
        """A line went into the metrics."""

    def evaluating(self, run: "Run", games: int) -> None:
        """An evaluation begins."""

    def finished(self, run: "Run", result: "Result") -> None:
        """The run reached its end."""

    def stopped(self, run: "Run") -> None:
        """The run ended before that; a listener may have something to close."""
