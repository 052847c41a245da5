"""Is a plugin sound? It is put through the common law, and what comes out reads like a certificate."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from time import perf_counter
from typing import Any

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.recipes import options
from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Registry
from plastic.testing.certificate import Certificate, Law, Meeting
from plastic.testing.examination import PLACES, Examination
from plastic.testing.known import built_in
from plastic.testing.laws.changes import changes
from plastic.testing.laws.live import live
from plastic.testing.laws.placed import placed
from plastic.testing.laws.recorded import recorded
from plastic.testing.laws.resumes import repeats, resumes
from plastic.testing.laws.traced import traced
from plastic.testing.laws.watched import watched
from plastic.testing.meeting import meet
from plastic.testing.trial import Trial
from plastic.testing.values import every_option, exemplary, small

_LAWS: Mapping[str, Callable[[Examination], Law | Sequence[Law]]] = {
    "what it leaves": watched,
    "what it changes": changes,
    "the same run again": repeats,
    "a checkpoint": resumes,
    "one device": placed,
    "replayed": recorded,
    "one graph": traced,
    "its options": live,
}
_RUNS = "it runs to the end, without an error of its own"
Tell = Callable[[str], None]


def check_plugin(
    plugin: type[Plugin] | Plugin,
    *,
    on: Sequence[str] = tuple(PLACES),
    beside: Sequence[str] | None = None,
    tell: Tell = lambda step: None,
    **given: Any,
) -> Certificate:
    """Put a plugin through the common law on a plain network, SAC and Rainbow, each of a few updates.

    Args:
        plugin: Its class, or an instance whose options are those to try it with.
        on: The agents: some of `plain`, `states` (SAC) and `rainbow`.
        beside: Names of built-in plugins to try it beside; None is all of them, the probes as one bundle.
        tell: Hears what is tried next.
        given: Options to try it with. What is not given is chosen so that the plugin acts within a few updates.

    Returns:
        What was tried, what held, and what did not and why. `certificate.faults` is empty for a sound plugin.
    """
    begun = perf_counter()
    cls = plugin if isinstance(plugin, type) else type(plugin)
    said = given if isinstance(plugin, type) else {**options.values(plugin), **given}
    named = str(getattr(cls, "name", cls.__name__))
    meaning = "a registry takes it, and it can be made"
    try:
        built_in(cls)
        examination = Examination(cls, said, on)
    except UsageError as error:
        law = Law("registration", meaning, "broken", [str(error)])
        return Certificate(named, said, {}, [law], [], perf_counter() - begun)
    except Exception as error:  # from within the plugin
        return Certificate(named, said, {}, [_raised(error)], [], perf_counter() - begun)
    laws = [Law("registration", meaning, "holds", [f"as {cls.name!r}"])]
    meetings: list[Meeting] = []
    try:
        tell("whether it acts")
        laws.append(_acts(examination))
        stopped = [
            f"on {PLACES[kind]} {why}" for kind, w in examination.watches.items() for why in w.faults.get("runs", ())
        ]
        if stopped:
            laws.append(Law("runs", _RUNS, "broken", stopped))
        for step, article in _LAWS.items() if examination.watches and not stopped else ():
            tell(step)
            found = article(examination)
            laws += [found] if isinstance(found, Law) else found
        meetings += _met(examination, beside, tell) if not stopped else ()
    except Exception as error:
        laws.append(_raised(error))
    return Certificate(
        plugin=named,
        options=every_option(cls, examination.given),
        places={PLACES[kind]: why or "it acts" for kind, why in examination.places.items()} if _ran(laws) else {},
        laws=laws,
        beside=meetings,
        seconds=perf_counter() - begun,
    )


def _ran(laws: Sequence[Law]) -> bool:
    return not any(law.name == "runs" for law in laws)


def _raised(error: Exception) -> Law:
    sentence = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Law("runs", _RUNS, "broken", [sentence])


def _acts(examination: Examination) -> Law:
    """It may find nothing to act on, or be refused, but not everywhere."""
    meaning = "there is an agent on which it acts"
    places = examination.places
    somewhere = [f"on {PLACES[kind]}" for kind, why in places.items() if not why]
    if somewhere:
        return Law("acts", meaning, "holds", somewhere)
    return Law("acts", meaning, "broken", [f"on {PLACES[kind]}: {why}" for kind, why in places.items()])


# ------------------------------------------------------------------ beside others


def others_of(known: Registry, cls: type[Plugin]) -> dict[str, list[Chosen]]:
    """What a plugin is tried beside, by name: each built-in one but itself, and the probes as one bundle.

    Their schedules are such that they act at other moments, too: not all edits of a tick can be seen.
    """
    found: dict[str, list[Chosen]] = {}
    probes: list[Chosen] = []
    for name, entry in known.all("plugin").items():
        if entry.package == "plastic-rl" and entry.cls is not cls:
            if issubclass(entry.cls, Probe):
                probes.append(Chosen(name, small(entry.cls, {})))
            else:
                found[name] = [Chosen(name, staggered(entry.cls))]
    return {**found, "the probes": probes}


@cache
def acting(cls: type[Plugin]) -> Mapping[str, Any]:
    """Options with which a plugin acts within a few updates; its own example of them, if it declares one."""
    return Examination(cls, exemplary(cls)).given


def staggered(cls: type[Plugin]) -> Mapping[str, Any]:
    """Options with which a plugin acts every third update, where it would act every second one."""
    given = acting(cls)
    when = given.get("when")
    if isinstance(when, Mapping) and when.get("every") == 2:
        try:
            return small(cls, {**given, "when": {"every": 3, "of": "updates"}})
        except UsageError:
            return given
    return given


def _met(examination: Examination, beside: Sequence[str] | None, tell: Tell) -> Sequence[Meeting]:
    found = []
    for name, them in others_of(examination.known, examination.cls).items():
        if beside is not None and name not in beside:
            continue
        tell(f"beside {name}")
        for kind in examination.watches:
            there = [one for one in them if not _nothing(kind, one, examination.known)]
            if not there:
                continue
            outcome, why = meet(kind, [examination.chosen(), *there], examination.known)
            found.append(Meeting(name, PLACES[kind], outcome, why))
    return found


def _nothing(kind: str, one: Chosen, known: Registry) -> bool:
    """Whether a plugin has nothing to act on there, so that there is nobody to meet."""
    try:
        Trial(kind, [one], registry=known)
    except NothingToActOn:
        return True
    except UsageError:
        return False
    return False
