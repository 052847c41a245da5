"""An update of each agent, bare and with each plugin: for comparing two commits (docs/performance.md).

It is what a run does between its plugins' moments. How a plugin's update stands beside the bare one is measured by
turns in test_plugins.py; here nothing is compared within a session.
"""

import gc
from collections.abc import Mapping
from functools import cache

import pytest
from attrs import evolve
from pytest_benchmark.fixture import BenchmarkFixture

from plastic.bench.play import Play, random_play
from plastic.bench.workload import Workload
from plastic.core.errors import NothingToActOn
from plastic.core.probe import Probe
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from tests.benchmarks.test_plugins import at_defaults

REGISTRY = Registry().load()
PLUGINS = {name: entry.cls for name, entry in REGISTRY.all("plugin").items() if entry.package == "plastic-rl"}
PIXELS = {"render": "ray", "batch_size": 16}  # rays need no OpenGL, and small batches tell two commits apart as well
AGENTS: Mapping[str, Recipe] = {
    "rainbow": Recipe(env="ALE/Pong-v5"),
    "sac": Recipe(agent="sac", env="cheetah-run"),
    "sac-pixels": Recipe(agent="sac", env="cheetah-run", preset="drq", settings=PIXELS),
    "drqv2-pixels": Recipe(agent="drqv2", env="cheetah-run", preset="drqv2", settings=PIXELS),
}
ROUNDS, WARM_UP = 10, 2
SLOW = ("hessian", "trainability")  # probes whose look takes many seconds, and is timed once


@cache
def play(agent: str) -> Play:
    whole = assemble(AGENTS[agent], REGISTRY)
    try:
        return random_play(whole.env, seed=0)
    finally:
        whole.env.close()


def workload(agent: str, *plugins: Chosen) -> Workload:
    gc.collect()  # learners refer to themselves, and replays are large
    try:
        return Workload.of(evolve(AGENTS[agent], plugins=plugins), REGISTRY, play(agent))
    except NothingToActOn as nothing:
        pytest.skip(str(nothing))


@pytest.mark.parametrize("plugin", ["bare", *(name for name, cls in PLUGINS.items() if not issubclass(cls, Probe))])
@pytest.mark.parametrize("agent", AGENTS)
def test_an_update(agent: str, plugin: str, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"an update of {agent}"
    one = workload(agent, *(() if plugin == "bare" else (at_defaults(plugin),)))
    benchmark.pedantic(one, rounds=ROUNDS, warmup_rounds=WARM_UP)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("probe", [name for name, cls in PLUGINS.items() if issubclass(cls, Probe)])
@pytest.mark.parametrize("agent", ["rainbow", "sac"])
def test_a_look(agent: str, probe: str, benchmark: BenchmarkFixture) -> None:
    """What a probe takes when it is due."""
    benchmark.group = f"a look at {agent}"
    one = workload(agent, Chosen(probe, {"when": {"every": 1, "of": "updates"}}))
    one.assembly.clock.advance(updates=1)
    one.assembly.agent.update()  # and no tick: it stays due
    rounds, warm_up = (1, 0) if probe in SLOW else (3, 1)
    benchmark.pedantic(one.assembly.agent.tend, rounds=rounds, warmup_rounds=warm_up)  # type: ignore[no-untyped-call]
