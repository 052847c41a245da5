"""One seed's run, from outside: how it stands, and what to say of it when it has ended."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from attrs import define, field
from rich.console import RenderableType
from rich.table import Table

_STOPPED = (None, 130, 143)  # exit codes of who was told to stop; None had no turn


@define
class SeedRun:
    """A run in a process of its own.

    Attributes:
        seed: The run's.
        folder: The run's, there or not.
        said: The last that its progress told.
        error: What it told of its failure.
        code: The exit code; the negative number of the signal that killed it; None before its end.
        process: None before its turn.
    """

    seed: int
    folder: Path
    said: str = "waits"
    error: str = ""
    code: int | None = None
    process: "subprocess.Popen[str] | None" = field(default=None, repr=False)

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.code == 0

    @property
    def begun(self) -> bool:
        """Whether there is something to resume."""
        return (self.folder / "recipe.toml").exists()

    def ending(self, begin: str) -> str:
        """What became of one that is not done, and the command to go on with.

        Args:
            begin: The command that begins it.
        """
        if self.code is not None and self.code < 0:
            killed = f"seed {self.seed} was killed (signal {-self.code})"
            if self.begun:
                return f"{killed}; go on with: plastic resume {quote(str(self.folder))}"
            return f"{killed} before it began; begin it with: {begin}"
        if self.code in _STOPPED and not self.begun:
            return f"seed {self.seed} has not begun; begin it with: {begin}"
        return f"seed {self.seed}: {self.error or f'ended with exit code {self.code}'}"


def standing(runs: Sequence[SeedRun]) -> RenderableType:
    """What each said last."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for run in runs:
        table.add_row(f"seed {run.seed}", run.said)
    return table


def results(runs: Sequence[SeedRun]) -> RenderableType:
    """Each one's score and folder, and the mean of the scores."""
    from plastic.cli.wording import score

    found = {run.seed: _result(run) for run in runs}
    scaled = any(result.get("normalised") is not None for result in found.values())
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("seed", "score", *(("normalised",) if scaled else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("folder", overflow="fold")
    for run in runs:
        values = [found[run.seed].get(key) for key in ("mean", *(("normalised",) if scaled else ()))]
        folder = str(run.folder) if run.begun else "not begun"
        table.add_row(str(run.seed), *("" if value is None else score(value) for value in values), folder)
    means = [result["mean"] for result in found.values() if result.get("mean") is not None]
    if len(means) > 1:
        reach = f"from {score(min(means))} to {score(max(means))}"
        table.add_row("mean", score(sum(means) / len(means)), *([""] if scaled else []), reach)
    return table


def _result(run: SeedRun) -> dict[str, Any]:
    path = run.folder / "result.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if run.done and path.exists() else {}
