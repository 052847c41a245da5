"""Whether a plugin acts at all in a run, as far as its schedule says for certain."""

from collections.abc import Collection
from math import ceil

from plastic.core.intervention import PlasticityIntervention
from plastic.core.plugin import Plugin
from plastic.core.runs.replay_ratio import Owed
from plastic.core.schedule import At, Clock, Counts, Every, Schedule

_ROUNDING = 1e-6  # of updates / ratio


def never_acts(plugin: Plugin, owed: Owed, turned: Collection[str] = ()) -> bool:
    """Whether none of the moments of its `when` comes in this run.

    After the last update nothing is edited, so that an intervention's moments end one update earlier. Episodes, which
    nobody knows in advance, schedules of one's own, updates whose number a plugin turns, and moments of which the
    plugin itself makes others (`due`) are taken to come.

    Args:
        plugin: The plugin.
        owed: Of the run: its totals, and which update follows which agent step.
        turned: Knobs that plugins turn.
    """
    when: Schedule | None = getattr(plugin, "when", None)
    if type(plugin).due is not Plugin.due or not isinstance(when, Every | At) or when.of == "episodes":
        return False
    total = owed.clock.total
    if "replay_ratio" not in turned:
        last = _counts_at(total.updates - isinstance(plugin, PlasticityIntervention), owed)
    elif when.of != "updates":
        last = total
    else:
        return False
    return not when(Clock(now=last, total=total))  # what was crossed in one tick was crossed in many


def _counts_at(update: int, owed: Owed) -> Counts:
    """The clock's counts at the tick of an update; all 0 at that of none."""
    if update < 1:
        return Counts()
    total = owed.clock.total
    steps = max(owed.first - 1, 0) + ceil(update / owed.ratio - _ROUNDING)
    steps = min(steps, total.agent_steps)
    return Counts(updates=update, agent_steps=steps, frames=steps * (total.frames // total.agent_steps))
