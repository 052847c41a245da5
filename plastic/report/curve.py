"""The learning curve as a picture."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plastic.core.errors import RunError
from plastic.core.runs.listener import Listener
from plastic.core.runs.run_folder import RunFolder, read_metrics

if TYPE_CHECKING:
    from plastic.core.runs.run import Result, Run


class Curve(Listener):
    """Draws `curve.png` when the run ends, or is stopped after it has played a game."""

    def finished(self, run: "Run", result: "Result") -> None:
        """Draw it."""
        if run.folder.metrics.exists():
            draw(run.folder, run.recipe.env)

    def stopped(self, run: "Run") -> None:
        """Draw what there is."""
        if run.folder.metrics.exists():
            with suppress(RunError):  # a full disk, say, that stopped the run: that error is the one to show
                draw(run.folder, run.recipe.env)


def draw(folder: RunFolder, env: str) -> Path | None:
    """Scores of training games, their running mean, evaluations, and the loss, over agent steps.

    What was not finite, which the metrics hold as null, is left out.

    Returns:
        Where the picture lies; None if no game was played yet, or none with such a score.

    Raises:
        RunError: If it cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (0.7 s, for the end of a run alone)

    records = read_metrics(folder.metrics)
    games = _known(records, "episode", "score")
    if not games:
        return None
    figure = Figure(figsize=(8, 5), layout="constrained")
    scores, losses = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    steps = [game["agent_steps"] for game in games]
    values = [game["score"] for game in games]
    scores.plot(steps, values, ".", color="0.75", label="training games")
    scores.plot(steps, running_mean(values, 20), color="C0", label="mean of the last 20")
    for evaluation in _known(records, "evaluation", "score"):
        _evaluation(scores, evaluation)
    scores.set_ylabel("score")
    scores.set_title(f"{env}", loc="left")
    scores.legend(frameon=False, loc="best")
    trained = [record for record in records if record["kind"] == "train"]
    keys = sorted({key for record in trained for key in record if key.endswith("loss")})
    for key in keys:
        known = _known(trained, "train", key)
        losses.plot([r["agent_steps"] for r in known], [r[key] for r in known], label=key)
    if len(keys) > 1:
        losses.legend(frameon=False)
    losses.set_ylabel("loss")
    losses.set_xlabel("agent steps")
    for axes in (scores, losses):
        axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(folder.curve, dpi=120)
    except OSError as error:
        raise RunError(f"cannot write {folder.curve}: {error.strerror}") from error
    return folder.curve


def _known(records: list[dict[str, Any]], kind: str, key: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind and record.get(key) is not None]


def _evaluation(axes: Any, record: dict[str, Any]) -> None:
    first = not any(line.get_label() == "evaluation" for line in axes.get_lines())
    label = "evaluation" if first else None
    axes.plot(record["agent_steps"], record["score"], "D", color="C1", label=label, zorder=3, clip_on=False)


def running_mean(values: list[float], window: int) -> list[float]:
    """Mean of each value and those before it, `window` at the most.

    >>> running_mean([1.0, 3.0, 5.0], 2)
    [1.0, 2.0, 4.0]
    """
    return [sum(part) / len(part) for part in (values[max(0, k - window + 1) : k + 1] for k in range(len(values)))]
