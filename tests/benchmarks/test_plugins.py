"""What each plugin costs at its default schedule, against the bare agent; there are no limits here.

It is what `plastic bench` says of the plugin alone, on Atari and on a task of the control suite.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from plastic.bench.costs import Costs, measure
from plastic.core.errors import NothingToActOn
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from tests.benchmarks.conftest import Report

REGISTRY = Registry().load()
PLUGINS = [name for name, entry in REGISTRY.all("plugin").items() if entry.package == "plastic-rl"]
AGENTS = {"rainbow": "ALE/Pong-v5", "sac": "dm_control/cheetah-run-v0"}
SECONDS = 12.0  # each
NEEDED: Mapping[str, Mapping[str, Any]] = {"augmentation": {"off_at": 50_000}}  # options without a default


def at_defaults(name: str) -> Chosen:
    return Chosen(name, NEEDED.get(name, {}))


@pytest.mark.parametrize("name", PLUGINS)
@pytest.mark.parametrize("agent", AGENTS)
def test_a_plugin(agent: str, name: str, benchmark: BenchmarkFixture, report: Report) -> None:
    wanted = Recipe(agent=agent, env=AGENTS[agent], plugins=(at_defaults(name),))
    try:
        costs: Costs = benchmark.pedantic(  # type: ignore[no-untyped-call]
            measure, args=(wanted, REGISTRY), kwargs={"seconds": SECONDS}, rounds=1
        )
    except NothingToActOn as nothing:
        pytest.skip(str(nothing))
    bare, row = costs.rows
    benchmark.extra_info |= {"ratio": row.ratio.median, "quartiles": [row.ratio.lower, row.ratio.upper]}
    line = f"{name} / bare {agent}: {row.ratio}"
    for moment in row.moments:
        updates = moment.seconds / bare.seconds.median
        benchmark.extra_info["moment"] = updates
        line += f"; a moment {updates:.2f} updates more, {moment.when}"
        if moment.times is not None and costs.assembly.clock.total.updates:
            share = row.ratio.median + updates * moment.times / costs.assembly.clock.total.updates
            line += f", {moment.times:,} of them: {share:.4f} in all"
    report(f"{line} ({costs.rounds} rounds, {costs.processor:.0%} of a processor)")
