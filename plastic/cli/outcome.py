"""What came of a run: scores, where everything lies, and what to do with it."""

from collections.abc import Iterable, Sequence
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import RenderableType

from plastic.cli.plan import facts
from plastic.cli.wording import count, score, span

if TYPE_CHECKING:
    from plastic.core.environment import EnvFamily
    from plastic.core.runs.run import Result, Run


def outcome(run: "Run", result: "Result") -> RenderableType:
    """The result of a run that has reached its end."""
    folder = run.folder
    path = quote(str(folder.path))
    rows = [*scores(run.assembly.family, run.recipe.env, result.scores)]
    rows += [("time", span(run.seconds)), ("folder", str(folder.path))]
    if folder.curve.exists():
        rows.append(("curve", str(folder.curve)))
    rows += [
        ("evaluate", f"plastic evaluate {path}"),
        ("go on", f"plastic resume {path} --steps {2 * run.recipe.steps}"),
        ("load", f"plastic.load({str(folder.path)!r}) in Python"),
    ]
    return facts(rows)


def scores(family: "EnvFamily", task: str, played: Sequence[float]) -> Iterable[tuple[str, str]]:
    """Mean and range of scores, and the mean on the family's scale where it has one."""
    if not played:
        yield "score", "no game was played (eval_episodes=0)"
        return
    mean = sum(played) / len(played)
    reach = f", from {score(min(played))} to {score(max(played))}" if len(played) > 1 else ""
    yield "score", f"{score(mean)}, mean of {count(len(played), 'game')}{reach}"
    normalised = family.normalise(task, mean)
    if normalised is not None:
        known = ", ".join(f"{who} {score(reference)}" for who, reference in family.references(task).items())
        yield "normalised", score(normalised) + (f" ({known})" if known else "")
