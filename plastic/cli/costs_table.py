"""The costs of plugins as one reads them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from plastic.cli.listing import Listing
from plastic.cli.plan import facts
from plastic.cli.wording import count

if TYPE_CHECKING:
    from plastic.bench.costs import Costs


_BUSY = 0.8  # of the time; below it, times by the clock say little, while ratios hold


def costs_table(costs: "Costs") -> RenderableType:
    """What was timed, what an update costs, at which moments plugins cost more, and what that makes of a run."""
    blocks: list[RenderableType] = [facts(_about(costs)), Text(), _updates(costs)]
    if costs.on_gpu:
        blocks += [Text(), _gpu(costs)]
    if costs.rows[-1].moments:
        blocks += [Text(), _moments(costs)]
    blocks += [Text(), _parts(costs), Text(), facts(_run(costs))]
    return Group(*blocks)


def _about(costs: "Costs") -> Iterable[tuple[str, str]]:
    recipe, settings = costs.assembly.recipe, costs.assembly.settings
    yield "agent", f"{recipe.agent} ({costs.assembly.preset}) on {recipe.env}"
    yield "device", f"{recipe.device}, {count(settings.threads, 'thread')}{', captured' if costs.captured else ''}"
    yield "timed", f"by turns, {count(costs.rounds, 'round')}; medians by the clock, quartiles in brackets"
    if costs.on_gpu:
        yield "waits", f"for the GPU after {count(costs.stretch, 'update')}, as a run does before it acts"
    elif costs.processor < _BUSY:
        yield "mind", f"other work held the processor: this process had it for {costs.processor:.0%} of the time"


def _listed(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Listing:
    return Listing(headings, rows, numbers=headings[1:])


def _updates(costs: "Costs") -> Listing:
    headings = ("plugins", "ms an update", "ratio to bare", "MB", "operations", "hours of updates")
    rows = []
    for row in costs.rows:
        ratio = f"{row.ratio.median:.2f} [{row.ratio.lower:.2f}, {row.ratio.upper:.2f}]"
        rows.append(
            (
                row.name,
                milliseconds(row.seconds.median),
                "1" if row is costs.rows[0] else ratio,
                f"{row.megabytes:,.1f}",
                f"{row.dispatched.operations:,.0f}",
                "not known" if row.hours is None else f"{row.hours:.2f}",
            )
        )
    return _listed(headings, rows)


def _gpu(costs: "Costs") -> Listing:
    headings = ("on the GPU", "kernels an update", "ms of kernels", "ms back to back", "idle", "MB at most")
    rows = []
    for row in costs.rows:
        kernels = row.dispatched.kernels
        most = "not known" if row.gpu_megabytes is None else f"{row.gpu_megabytes:,.0f}"
        if kernels is None:
            rows.append((row.name, *["not known"] * 4, most))
            continue
        rows.append(
            (
                row.name,
                f"{kernels.count:,.0f}",
                milliseconds(kernels.seconds),
                milliseconds(kernels.update),
                f"{kernels.idle:.0%}",
                most,
            )
        )
    return _listed(headings, rows)


def _moments(costs: "Costs") -> Listing:
    headings = ("at its moments", "ms more", "in updates", "moments", "of the updates' time")
    rows = []
    whole, bare = costs.rows[-1], costs.rows[0].seconds.median
    for moment in whole.moments:
        share = "not known"
        if moment.times is not None and whole.hours:
            share = f"{moment.times * moment.seconds / (whole.hours * 3600):.2%}"
        rows.append(
            (
                f"{moment.plugin}, {moment.when}",
                milliseconds(moment.seconds),
                f"{moment.seconds / bare:.2f}",
                "not known" if moment.times is None else f"{moment.times:,}",
                share,
            )
        )
    return _listed(headings, rows)


def _parts(costs: "Costs") -> Listing:
    whole = "of an update with all plugins"
    headings = (f"{whole}, not captured" if costs.captured else whole, "ms", "share")
    total = sum(costs.parts.values())
    rows = [(part, milliseconds(seconds), f"{seconds / total:.1%}") for part, seconds in costs.parts.items()]
    return _listed(headings, rows)


def _run(costs: "Costs") -> Iterable[tuple[str, str]]:
    total = costs.assembly.clock.total
    yield "the run", f"{count(total.agent_steps, 'agent step')}, {count(total.updates, 'update')}"
    hours = costs.rows[-1].hours
    if hours is None:
        yield "updates", "not known: a schedule counts episodes"
    else:
        yield "updates", f"{hours:.2f} hours, moments included"
    playing = costs.acting + costs.stepping + costs.observing
    yield "playing", f"{costs.playing_hours:.2f} hours: {milliseconds(playing)} ms a step, random play's environment"
    length = f"{'' if costs.whole_game else 'at least '}{count(costs.game, 'agent step')}"
    games = f"{count(costs.games, 'game')} of {length}, as by random play"
    yield "evaluation", f"{costs.evaluation_hours:.2f} hours: {games}"
    if hours is not None:
        word = "GPU-hours" if costs.on_gpu else "hours of this machine"
        yield "in all", f"{hours + costs.playing_hours + costs.evaluation_hours:.2f} {word}"


def milliseconds(seconds: float) -> str:
    """Three digits that say something.

    >>> milliseconds(0.0921), milliseconds(0.00312), milliseconds(0.00004), milliseconds(12.3)
    ('92.1', '3.12', '0.04', '12,300')
    """
    value = 1_000 * seconds
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
