"""The folder of a run: what lies where."""

import csv
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from plastic.core.errors import RunError, UsageError


@frozen
class RunFolder:
    """recipe.toml, run.json, metrics.jsonl, timing.csv, checkpoints/, result.json, and pictures."""

    path: Path

    @classmethod
    def create(cls, path: Path | None, name: str) -> "RunFolder":
        """A new folder: `path`, which must not exist yet, or the next free `runs/NAME-N`.

        Raises:
            UsageError: If it is there already or cannot be made.
        """
        made = new_folder(path, name)
        try:
            (made / "checkpoints").mkdir()
        except OSError as error:
            raise UsageError(f"cannot make the run's folder {made}: {error.strerror}") from error
        return cls(made)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of a run that has begun.

        Raises:
            UsageError: If it is none.
        """
        if not (path / "recipe.toml").is_file():
            raise UsageError(f"{path} is no run's folder: it holds no recipe.toml")
        return cls(path)

    @property
    def recipe(self) -> Path:
        """The recipe, every value in it."""
        return self.path / "recipe.toml"

    @property
    def metrics(self) -> Path:
        """One JSON object a line; no wall-clock in it."""
        return self.path / "metrics.jsonl"

    @property
    def timing(self) -> Path:
        """Seconds, in a file of their own, so that the metrics of equal runs are equal."""
        return self.path / "timing.csv"

    @property
    def result(self) -> Path:
        """The final evaluation; there once the run has finished."""
        return self.path / "result.json"

    @property
    def curve(self) -> Path:
        """The learning curve."""
        return self.path / "curve.png"

    def checkpoint(self, agent_steps: int) -> Path:
        """Where the checkpoint after so many agent steps lies."""
        return self.path / "checkpoints" / f"{agent_steps:010d}.ckpt"

    def checkpoints(self) -> list[Path]:
        """All checkpoints, oldest first."""
        return sorted((self.path / "checkpoints").glob("*.ckpt"))

    def unfinished(self) -> list[Path]:
        """What writers that were killed left of checkpoints; nobody reads it."""
        return sorted((self.path / "checkpoints").glob(".*.partial"))

    def write_json(self, path: Path, value: Mapping[str, Any]) -> None:
        """Write a JSON file, all or nothing."""
        self.write_text(path, dumps(value, indent=2) + "\n")

    def write_text(self, path: Path, text: str) -> None:
        """Write a text file, all or nothing: a run that is killed meanwhile must still be resumed by it."""
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise RunError(f"cannot write {path}: {error.strerror}") from error


def new_folder(path: Path | None, name: str) -> Path:
    """Make the folder `path`, which must be empty if it is there, or the next free `runs/NAME-N`.

    Raises:
        UsageError: If it holds something or cannot be made.
    """
    try:
        if path is None:
            Path("runs").mkdir(exist_ok=True)
            return _next_free(Path("runs"), name)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path} exists already; resume it with `plastic resume {path}`, or choose another --out")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the run's folder {path or 'runs'}: {error.strerror}") from error
    return path


def _next_free(parent: Path, name: str) -> Path:
    number = 1
    while True:
        path = parent / f"{name}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


class Lines:
    """A file that grows line by line, and can be cut back to where a checkpoint was written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: str) -> None:
        """Add a line; it is on its way to the disk when this returns.

        Raises:
            RunError: If it cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(line + "\n")
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}") from error

    def sync(self) -> None:
        """Have every line on the disk, before a checkpoint counts on them.

        Raises:
            RunError: If they cannot be written.
        """
        if self.path.exists():
            try:
                with self.path.open("rb") as file:
                    os.fsync(file.fileno())
            except OSError as error:
                raise RunError(f"cannot write {self.path}: {error.strerror}") from error

    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int) -> None:
        """Forget what was written after the file had this size."""
        if self.size() > size:
            os.truncate(self.path, size)


def dumps(value: Any, indent: int | None = None) -> str:
    """Strict JSON: what is not finite is null."""
    return json.dumps(_strict(value), indent=indent, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics file; a last line that a full disk cut off is none."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def read_timing(path: Path) -> list[dict[str, str]]:
    """The rows of a timing file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
