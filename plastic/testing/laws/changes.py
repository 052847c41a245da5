"""What a plugin declares to change changes, and nothing else does."""

from plastic.core.errors import UsageError
from plastic.core.plugin import Change
from plastic.core.probe import Probe
from plastic.core.recipes.options import fields
from plastic.testing.certificate import Law
from plastic.testing.compare import differences, same
from plastic.testing.examination import PLACES, Examination, bare
from plastic.testing.state import State
from plastic.testing.values import others
from plastic.testing.watch import Update, Watch

Seen = dict[Change, str]
_OF_STRUCTURE: frozenset[Change] = frozenset({"parameters", "copies", "optimizer state"})


def changes(examination: Examination) -> Law:
    """Every word of `changes` is seen on some agent, with some options, and no other word is."""
    meaning = "what it declares to change changes, and nothing else"
    declared = examination.cls.changes
    seen: Seen = {}
    for kind, watch in examination.watches.items():
        for change, example in seen_in(watch, bare(kind), declared).items():
            seen.setdefault(change, f"{example} on {PLACES[kind]}")
    broken = [
        f"it changes the {change} ({example}) and does not say so; add {change!r} to `changes`"
        for change, example in seen.items()
        if change not in declared
    ]
    missing = declared - seen.keys()
    if not any(learner.copies for watch in examination.watches.values() for learner in watch.trial.learners.values()):
        missing -= {"copies"}  # where there are none, none can change
    if missing:
        missing -= _with_other_options(examination, missing)
    if missing == declared and declared and not issubclass(examination.cls, Probe):
        broken.append("it is inert: no run with it differs from the run without")
    else:
        broken += [
            f"it declares that it changes the {change}, and that was never seen; take the word from `changes`"
            for change in sorted(missing)
        ]
    findings = [f"{change}: {example}" for change, example in seen.items()] or ["nothing changes, as it says"]
    return Law("changes", meaning, "broken" if broken else "holds", broken or findings)


def _with_other_options(examination: Examination, missing: frozenset[Change]) -> set[Change]:
    """Which of these are seen with an option changed."""
    found: set[Change] = set()
    for name in fields(examination.cls):
        for given in others(examination.cls, name, examination.given)[:2]:
            for kind in examination.kinds:
                watch, before = examination.watch(kind, given), examination.watch(kind)
                if isinstance(watch, UsageError):
                    continue
                found |= seen_in(watch, bare(kind), examination.cls.changes).keys() & missing
                if not isinstance(before, UsageError):  # which another structure hides, beside the bare run
                    found |= _first_departure(watch, before, examination.cls.changes).keys() & missing
                if found == missing:
                    return found
    return found


def seen_in(watch: Watch, without: Watch, declared: frozenset[Change]) -> Seen:
    """What a run was seen to change against the run without, and an example of each."""
    found: Seen = {}
    for name, state in watch.started.items():
        for change, example in _at_start(without.started[name], state).items():
            found.setdefault(change, f"{example} of {name} at the start")
    for change, example in watch.edits.items():
        if not ("structure" in watch.edits and change in _OF_STRUCTURE - declared):
            found.setdefault(change, example)
    for (name, number), update in watch.updates.items():
        for change, example in _within(update).items():
            found.setdefault(change, f"{example} of {name} in update {number}")
    if "structure" not in found or "structure" in watch.edits:
        for change, example in _first_departure(watch, without, declared).items():
            found.setdefault(change, example)
    return found


def _at_start(without: State, state: State) -> Seen:
    found = without.changes(state)
    if "structure" in found:  # another network has other weights
        found = {change: example for change, example in found.items() if change not in _OF_STRUCTURE}
        if state.optimizer != without.optimizer:
            found["optimizer state"] = f"{state.optimizer} instead of {without.optimizer}"
    elif "parameters" in found:
        found.pop("copies", None)
    return found


def _within(update: Update) -> Seen:
    found: Seen = {}
    for name in differences(update.given, update.stepped):
        found.setdefault("gradients", name)
    if update.moved is not None:
        found["parameters"] = update.moved
    if update.after.evaluation is not None:
        found["evaluation"] = f"the copy {update.after.evaluation}"
    return found


def _first_departure(watch: Watch, without: Watch, declared: frozenset[Change]) -> Seen:
    """What differs first between two runs that were the same up to there; all later is its consequence."""
    for key, update in watch.updates.items():
        other = without.updates.get(key)
        if other is None or _departed(other.before, update.before):
            return {}
        where = f"of {key[0]} in update {key[1]}"
        for name in differences(other.given, update.given):
            return {"gradients": f"{name} {where}"}
        if differences(update.given, update.stepped):
            return {"gradients": where}
        after = other.after.changes(update.after)
        after.pop("evaluation", None)  # noted by itself
        if not after:
            continue
        if update.moved is not None:
            return {"parameters": f"{update.moved} {where}"}
        for change in ("gradients", "optimizer state", "parameters"):  # of an optimizer that steps in another way
            if "parameters" in after and change in declared:
                return {change: f"{after['parameters']} {where}"}
        return {change: f"{example} {where}" for change, example in after.items()}
    return {}


def _departed(one: State, other: State) -> bool:
    found = one.changes(other)
    return bool(found.keys() - {"evaluation"}) or not same(one.knobs, other.knobs)
