"""Every unordered pair of plugins on every agent, at small size: it works, or it is refused and why.

The probes are one bundle, because they change nothing: what is shown of them is that they measure beside anything.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import combinations
from multiprocessing import get_context
from typing import Any

import torch
from attrs import frozen

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Registry
from plastic.testing.certificate import Outcome
from plastic.testing.check import acting, staggered
from plastic.testing.known import built_in
from plastic.testing.meeting import SHORT, Story, meet
from plastic.testing.state import story
from plastic.testing.trial import Trial
from plastic.testing.values import small

AGENTS: Mapping[str, str] = {"rainbow": "rainbow", "sac": "pixels", "drqv2": "drqv2"}  # and what a trial of each is
PROBES = "probes"


@frozen
class Pair:
    """Two plugins on an agent, in the order they are given."""

    agent: str
    first: str
    second: str


@frozen
class Cell:
    """What came of a pair."""

    pair: Pair
    outcome: Outcome
    why: str


def names() -> list[str]:
    """What is paired: every built-in plugin that is no probe, and the probes as one."""
    known = built_in().all("plugin").items()
    return [name for name, entry in known if not issubclass(entry.cls, Probe)] + [PROBES]


def pairs(agent: str) -> list[Pair]:
    """All of an agent, in the order of the registry."""
    return [Pair(agent, first, second) for first, second in combinations(names(), 2)]


def sample() -> list[Pair]:
    """The same few every time: on each agent each plugin once, beside another one on each."""
    plugins = names()
    half = (len(plugins) + 1) // 2
    found = []
    for shift, agent in enumerate(AGENTS):
        one, other = plugins[:half], plugins[half:]
        turned = [*other[shift:], *other[:shift]]
        found += [Pair(agent, first, second) for first, second in zip(one, turned, strict=False)]
        if len(one) > len(turned):
            found.append(Pair(agent, one[-1], one[shift]))
    return found


def outcome(pair: Pair) -> Cell:
    """Run a pair, or what there is of it."""
    kind = AGENTS[pair.agent]
    first, second = _chosen(pair.first, staggering=False), _chosen(pair.second, staggering=True)
    if pair.second == PROBES:
        second = _measuring(kind, first, second)
    for alone in (_alone(kind, pair.first, False), _alone(kind, pair.second, True)):
        if isinstance(alone, UsageError):
            return Cell(pair, "refused", str(alone))

    def without(one: Chosen) -> Story:
        if PROBES in (pair.first, pair.second):
            return None
        return _alone(kind, pair.second, True) if one == first[0] else _alone(kind, pair.first, False)

    return Cell(pair, *meet(kind, [*first, *second], _registry(), alone=without))


def run(chosen: Sequence[Pair], *, processes: int = 2) -> list[Cell]:
    """The outcomes of these pairs, in their order."""
    with get_context("spawn").Pool(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return pool.map(outcome, chosen, chunksize=8)


@cache
def _registry() -> Registry:
    return built_in()


@cache
def _chosen(name: str, *, staggering: bool) -> tuple[Chosen, ...]:
    known = _registry().all("plugin")
    if name == PROBES:
        probes = [entry.cls for entry in known.values() if issubclass(entry.cls, Probe)]
        return tuple(Chosen(cls.name, small(cls, {})) for cls in probes)
    cls = known[name].cls
    options_of: Callable[[type[Plugin]], Mapping[str, Any]] = staggered if staggering else acting
    return (Chosen(name, options_of(cls)),)


def _measuring(kind: str, beside: tuple[Chosen, ...], probes: tuple[Chosen, ...]) -> tuple[Chosen, ...]:
    """Those that find something to measure there."""
    try:
        Trial(kind, [*beside, *probes], steps=SHORT, registry=_registry())
    except NothingToActOn as error:
        left = tuple(probe for probe in probes if probe.name != getattr(error.plugin, "name", ""))
        return probes if len(left) == len(probes) else _measuring(kind, beside, left)
    except UsageError:
        pass  # which the pair will be refused for
    return probes


@cache
def _alone(kind: str, name: str, staggering: bool) -> Story:
    if name == PROBES:
        return None
    try:
        trial = Trial(kind, _chosen(name, staggering=staggering), steps=SHORT, registry=_registry())
        return story(trial.warm_up().run())
    except UsageError as error:
        return error
