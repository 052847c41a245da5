"""What is seen while a run is watched: invariants, looks, random streams, waits."""

from plastic.testing.certificate import Law
from plastic.testing.examination import PLACES, Examination, bare

_MEANINGS = {
    "invariants": "after every update and edit the optimizer is complete, copies fit, all is finite, nothing is left",
    "looks only": "looking leaves model, copies, optimizer, batch and hooks as they were",
    "random streams": "the global random streams of torch, numpy and Python stay where they were",
}


def watched(examination: Examination) -> list[Law]:
    """A law each."""
    laws = []
    for name, meaning in _MEANINGS.items():
        broken = [
            f"on {PLACES[kind]} {fault}"
            for kind, watch in examination.watches.items()
            for fault in watch.faults.get(name, ())
        ]
        laws.append(Law(name, meaning, "broken" if broken else "holds", broken or _tried(examination)))
    return [*laws, _waits(examination)]


def _waits(examination: Examination) -> Law:
    """No number is asked for between a batch and the step from it."""
    broken: list[str] = []
    for kind, watch in examination.watches.items():
        without = bare(kind)
        for (learner, number), update in watch.updates.items():
            expected = without.updates[learner, number].waits if (learner, number) in without.updates else 0
            if update.waits > expected and not broken:
                broken.append(
                    f"on {PLACES[kind]} update {number} of {learner} reads {update.waits - expected} numbers from the "
                    "device (.item(), float(tensor), if tensor); keep them tensors"
                )
    meaning = "an update waits for nothing that lies on the device"
    return Law("no waiting", meaning, "broken" if broken else "holds", broken or _tried(examination))


def _tried(examination: Examination) -> list[str]:
    return [f"seven updates on {PLACES[kind]}" for kind in examination.watches]
