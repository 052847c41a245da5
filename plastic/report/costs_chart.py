"""The costs of plugins as a picture: a bar for each combination."""

from pathlib import Path

from plastic.bench.costs import Costs
from plastic.core.errors import RunError, UsageError

FORMATS = (".png", ".svg", ".pdf")


def refuse_unknown_format(path: Path) -> None:
    """Refuse a name that says no format, before anything is measured.

    Raises:
        UsageError: With the formats there are.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path} names no picture; end it in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")


def draw(costs: Costs, path: Path) -> None:
    """Ratios to the bare agent: an update, and what moments add over the run.

    Raises:
        RunError: If the picture cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (0.7 s, where it is asked for alone)

    rows = list(reversed(costs.rows))
    names = [row.name for row in rows]
    ratios = [row.ratio.median for row in rows]
    spread = [[r.ratio.median - r.ratio.lower for r in rows], [r.ratio.upper - r.ratio.median for r in rows]]
    bare, updates = costs.rows[0].seconds.median, costs.assembly.clock.total.updates
    added = [sum(m.seconds * (m.times or 0) for m in row.moments) / max(1, updates) / bare for row in rows]
    figure = Figure(figsize=(8, 1.6 + 0.45 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, ratios, xerr=spread, color="C0", error_kw={"ecolor": "0.3", "capsize": 3}, label="an update")
    axes.barh(names, added, left=ratios, color="C1", label="moments, spread over the run")
    axes.axvline(1, color="0.5", linewidth=0.8, zorder=0)
    axes.set_xlabel("time of an update, the bare agent's is 1")
    axes.set_title(f"{costs.assembly.recipe.agent} on {costs.assembly.recipe.env}", loc="left")
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
