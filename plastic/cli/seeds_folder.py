"""What to do with a folder of several seeds where one run's is wanted."""

from pathlib import Path
from shlex import quote

from plastic.core.errors import UsageError

_NAMED = 10  # seeds in a sentence


def refuse_to_resume(folder: Path) -> None:
    """Name the runs in a folder of seeds that can be gone on with.

    Raises:
        UsageError: If it is such a folder.
    """
    runs = _runs(folder)
    if not runs:
        return
    left = [run for run in runs if not (run / "result.json").exists()]
    if left:
        raise UsageError(f"{folder} holds several runs; {_named(left)} can go on: plastic resume {_quoted(left[0])}")
    raise UsageError(
        f"{folder} holds several runs, which have all finished; to make one longer: "
        f"plastic resume {_quoted(runs[0])} --steps N"
    )


def refuse_to_evaluate(folder: Path) -> None:
    """Name the runs in a folder of seeds that have learnt something.

    Raises:
        UsageError: If it is such a folder.
    """
    runs = _runs(folder)
    if not runs:
        return
    learnt = [run for run in runs if any((run / "checkpoints").glob("*.ckpt"))]
    if not learnt:
        raise UsageError(f"{folder} holds several runs, and none has a checkpoint yet")
    raise UsageError(
        f"{folder} holds several runs; {_named(learnt)} can be evaluated: plastic evaluate {_quoted(learnt[0])}"
    )


def _runs(folder: Path) -> list[Path]:
    """Folders of runs named by their seeds, in order; none in a run's own folder."""
    if (folder / "recipe.toml").exists():
        return []
    runs = [recipe.parent for recipe in folder.glob("s*/recipe.toml") if recipe.parent.name[1:].isdecimal()]
    return sorted(runs, key=lambda run: int(run.name[1:]))


def _named(runs: list[Path]) -> str:
    names = [run.name for run in runs]
    if len(names) > _NAMED:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _quoted(run: Path) -> str:
    return quote(str(run))
