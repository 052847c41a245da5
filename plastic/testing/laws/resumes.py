"""A run that was interrupted goes on as if it had not been."""

import pickle
from collections.abc import Sequence

from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Registry
from plastic.testing.certificate import Law
from plastic.testing.compare import differences, same
from plastic.testing.examination import CHECKPOINT, LENGTH, PLACES, Examination
from plastic.testing.state import remembered_by_plugins, story
from plastic.testing.trial import Trial


def repeats(examination: Examination) -> Law:
    """The same run again is the same run."""
    broken = []
    for kind, watch in examination.watches.items():
        again = examination.story(kind)
        if isinstance(again, Exception):
            broken.append(f"on {PLACES[kind]} the second run is refused: {again}")
        elif differing := differences(again, watch.ended):
            broken.append(
                f"on {PLACES[kind]} a second run differs, first in {differing[0]}; keep state in fields with "
                "init=False and draw from subject.generator"
            )
    return Law("repeats", "the same run again is bitwise the same", "broken" if broken else "holds", broken)


def resumes(examination: Examination) -> Law:
    """Saved in the middle and loaded into a new run, it ends as the uninterrupted one."""
    return examination.law(
        "checkpoint",
        "saved in the middle and loaded, it goes on bit for bit",
        lambda kind: interruption(kind, [examination.chosen()], examination.known),
        "saved after three of seven updates",
    )


def interruption(kind: str, chosen: Sequence[Chosen], known: Registry) -> str | None:
    """What differs after an interruption in the middle of a run, or None."""
    whole = Trial(kind, chosen, steps=LENGTH, registry=known).warm_up().run(CHECKPOINT)
    return gone_on(whole, kind, chosen, known)


def gone_on(whole: Trial, kind: str, chosen: Sequence[Chosen], known: Registry) -> str | None:
    """What differs at the end between a trial that stands in the middle and another that is loaded from it."""
    try:
        file = whole.save()
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        return f"it cannot be saved: {error}; keep tensors and plain values in fields with init=False"
    before = len(whole.actions)
    whole.run()
    try:
        resumed = Trial(kind, chosen, steps=whole.steps, registry=known).load(file)
    except pickle.UnpicklingError as error:
        reason = " ".join(str(error).split())[:120]
        return f"a checkpoint of it cannot be read ({reason}); its state may hold tensors and plain values alone"
    resumed.run()
    one, other = story(whole, probes=False), story(resumed, probes=False)
    tail = one.pop("actions")[before:]
    if not same(tail, other.pop("actions")):
        return "after an interruption other actions are taken"
    if differing := differences(one, other):
        return (
            f"after an interruption {differing[0]} differs; mark its state by init=False, and let `start` not clear it"
        )
    measured = {update: values for update, values in whole.measured.items() if update in resumed.measured}
    if not same(measured, resumed.measured):
        return "after an interruption it measures otherwise; mark its state by init=False"
    if differing := differences(remembered_by_plugins(whole), remembered_by_plugins(resumed)):
        return f"after an interruption it remembers {differing[0]} otherwise; do not change it in `start`"
    return None
