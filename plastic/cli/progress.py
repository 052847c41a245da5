"""The progress of a run: redrawn in place on a terminal, a line now and then anywhere else."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from plastic.cli.output import console, on_terminal, show
from plastic.cli.plan import plan
from plastic.cli.standing import Standing
from plastic.cli.wording import count, score
from plastic.core.runs.listener import Record

if TYPE_CHECKING:
    from plastic.core.runs.run import Result, Run


def progress() -> "Progress":
    """What suits standard output."""
    return LiveProgress() if on_terminal() else PlainProgress()


class Progress(Standing):
    """Prints the plan at the start and every evaluation on the way."""

    def started(self, run: "Run") -> None:
        """Print the plan."""
        self._run = run
        self.say(plan(run.assembly, run.folder.path))
        super().started(run)

    def recorded(self, record: Record) -> None:
        """Print evaluations; the last one is the result, which is printed at the end."""
        super().recorded(record)
        if record["kind"] == "evaluation" and record["agent_steps"] < self.total:
            games = count(len(record["scores"]), "game")
            self.say(f"evaluation after {record['agent_steps']:,} steps: {score(record['score'])}, mean of {games}")

    def finished(self, run: "Run", result: "Result") -> None:
        """A line between what was and what came of it."""
        self.say("")

    def say(self, what: RenderableType) -> None:
        """Print something that stays; when nobody reads it any more, or the disk is full, the run stops."""
        try:
            self.write(what)
        except OSError:
            self._run.stop = True

    def write(self, what: RenderableType) -> None:
        """Print it on standard output."""
        show(what)


class PlainProgress(Progress):
    """A line every ten seconds at first and every minute later, and one when a phase is new."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(now)
        self._began = self._last = now()
        self._phases: set[str] = set()

    def changed(self) -> None:
        """Print a line if it is time."""
        now = self._now()
        wait = min(60.0, max(10.0, (now - self._began) / 60))
        if self.phase not in self._phases or now - self._last >= wait:
            self._last = now
            self._phases.add(self.phase)
            self.say(f"{self.phase}: " + ", ".join(self.facts()))


class LiveProgress(Progress):
    """A bar and the facts below it, four times a second, gone when the run is over."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(now)
        self._console = console()
        self._live = Live(
            console=self._console, get_renderable=lambda: _Drawing(self), refresh_per_second=4, transient=True
        )

    def started(self, run: "Run") -> None:
        """Begin to draw."""
        super().started(run)
        self._live.start()

    def write(self, what: RenderableType) -> None:
        """Print it above the drawing."""
        show(what, to=self._console)

    def finished(self, run: "Run", result: "Result") -> None:
        """Remove the drawing; nothing lies between the plan and the result then."""
        self._live.stop()

    def stopped(self, run: "Run") -> None:
        """Remove the drawing."""
        self._live.stop()


class _Drawing:
    """The bar and the facts, as wide as the terminal is now."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        standing = self._standing
        share = standing.steps / standing.total if standing.total else 0.0
        top = Table.grid(padding=(0, 1), expand=True)
        top.add_column(no_wrap=True)
        top.add_column(ratio=1)
        top.add_column(justify="right", no_wrap=True)
        bar = ProgressBar(total=max(1, standing.total), completed=standing.steps)
        top.add_row(Text(standing.phase, style="bold"), bar, f"{share:.0%}")
        yield top
        for line in flowed(standing.facts(), options.max_width):
            yield Text(line, no_wrap=True, overflow="ellipsis")


def flowed(words: list[str], width: int) -> list[str]:
    """Words on as few lines as hold them, three spaces apart; one that is too long has a line of its own.

    >>> flowed(["10 steps", "5 steps/s", "loss 2"], 20)
    ['10 steps   5 steps/s', 'loss 2']
    """
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 3 + len(word) <= width:
            lines[-1] += "   " + word
        else:
            lines.append(word)
    return lines
