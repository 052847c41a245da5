"""The plan of a run: everything that was decided, before anything is done."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from plastic.cli.acting import never_acts
from plastic.cli.describe import PLACES, changed, moment, place
from plastic.cli.listing import Listing
from plastic.cli.wording import count
from plastic.core.recipes.addressing import in_order_of_effect

if TYPE_CHECKING:
    from plastic.core.recipes.assemble import Assembly


def plan(assembly: "Assembly", folder: Path | None, logs: Sequence[str] = ()) -> RenderableType:
    """The plan as one reads it.

    Args:
        assembly: The run.
        folder: None as long as there is none.
        logs: What else metrics are written for.
    """
    return drawn(decided(assembly, folder, logs), plugins(assembly))


def drawn(rows: Iterable[tuple[str, str]], table: RenderableType | None) -> RenderableType:
    """The plan of what was decided, and of its plugins, if there are any."""
    parts: list[RenderableType] = [facts(rows), Text()]
    if table is not None:
        parts += [table, Text()]
    return Group(*parts)


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and what they are, below each other."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def decided(
    assembly: "Assembly", folder: Path | None, logs: Sequence[str], seeds: str | None = None
) -> Iterable[tuple[str, str]]:
    """What was decided, by name; arguments as of `plan`, and several seeds in the place of the assembly's, in words."""
    recipe, total, now = assembly.recipe, assembly.clock.total, assembly.clock.now
    known = assembly.agent.presets.get(assembly.preset)
    yield "agent", recipe.agent
    if not now.agent_steps:  # later, the recipe says every value itself
        yield "preset", assembly.preset if known is None else f"{assembly.preset} ({known.description})"
    yield "environment", recipe.env
    steps = f"{total.agent_steps:,} agent steps"
    if total.frames != total.agent_steps:
        steps += f" ({total.frames:,} frames)"
    yield "steps", f"{steps} -> {_updates(assembly)}"
    if now.agent_steps:
        yield "goes on", f"after {count(now.agent_steps, 'step')} and {count(now.updates, 'update')}"
    yield "device", f"{recipe.device}, {count(assembly.settings.threads, 'thread')}"
    yield ("seed", str(recipe.seed)) if seeds is None else ("seeds", seeds)
    differing = " ".join(filter(None, map(changed, (assembly.settings, assembly.family, assembly.agent))))
    yield "settings", differing or "all at their defaults"
    if folder is not None:
        yield "folder", str(folder)
    if logs:
        yield "log", ", ".join(logs)
    yield "plugins", "in order of effect:" if assembly.plugins else "none"


def _updates(assembly: "Assembly") -> str:
    """How many, or why there is none."""
    total, first = assembly.clock.total, assembly.agent.learning_starts
    if total.updates:
        return f"{count(total.updates, 'update')} in total"
    if first > total.agent_steps:
        return f"no update: the first would follow step {first:,} (learning_starts)"
    return f"no update: replay_ratio={assembly.owed.ratio:g} gives less than one in all"


def plugins(assembly: "Assembly") -> Listing | None:
    """A row for each plugin, in order of effect; None if there are none."""
    if not assembly.plugins:
        return None
    columns: dict[str, list[str]] = {"plugin": [], "on": [], "acts on": [], "when": [], "claims": [], "options": []}
    several = len(assembly.agent.learns) > 1
    turned = frozenset[str]().union(*(chosen.example.turns for chosen in assembly.plugins))
    for chosen in in_order_of_effect(assembly.plugins):
        plugin = chosen.example
        own = changed(plugin, without=(*PLACES, "when"))
        claims = ", ".join(sorted(plugin.claimed() | plugin.turns))
        when = moment(plugin) + (", never in this run" if never_acts(plugin, assembly.owed, turned) else "")
        row = (plugin.name, chosen.on if several else "", place(plugin), when, claims, own)
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
    filled = {heading: cells for heading, cells in columns.items() if any(cells)}
    return Listing(tuple(filled), list(zip(*filled.values(), strict=True)))
