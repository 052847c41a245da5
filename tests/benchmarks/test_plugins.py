"""What each plugin costs at its default schedule, against the bare agent's update; there are no limits here.

Some are at work in every update: two agents are compared. Others have their moments: one moment is compared with
one update, and with how many of each an Atari-100k run has.
"""

from typing import Any

import pytest
from attrs import evolve
from pytest_benchmark.fixture import BenchmarkFixture

from plastic.core.modifier import OptimizerModifier
from plastic.core.plugin import Plugin
from plastic.core.schedule import Every
from plastic.plugins import hooks
from tests.benchmarks.conftest import Report
from tests.benchmarks.pairs import Work, compare
from tests.benchmarks.pixels import UPDATES, Learning

PLUGINS: dict[str, type[Plugin]] = {
    cls.name: cls for cls in (*hooks.plastic_modifiers(), *hooks.plastic_interventions(), *hooks.plastic_probes())
}
ALWAYS = (
    *("sam", "l2", "clip_gradients", "hare_tortoise", "trac", "muon"),
    *("layer_norm", "crelu", "plasticity_injection", "prune_dormant", "l2_init", "dropout"),
    *("spectral_norm", "rational", "fourier_features", "wider", "parseval", "infer"),
)
# Nothing to measure on Rainbow, and too slow to be timed so often: their pages say what a measurement takes
NOT_HERE = ("saturated_units", "hessian", "trainability")
MOMENTS = tuple(name for name in PLUGINS if name not in (*ALWAYS, *NOT_HERE))
PAIRS = 60


def moments(plugin: Any) -> float:
    """How many a run has."""
    assert isinstance(plugin.when, Every)
    return (UPDATES if plugin.when.start >= 0 else -plugin.when.start) / plugin.when.period


@pytest.mark.parametrize("name", ALWAYS)
def test_in_every_update(name: str, benchmark: BenchmarkFixture, report: Report) -> None:
    def make() -> Work:
        learning = Learning([PLUGINS[name]()])
        if name == "plasticity_injection":  # what costs is what it leaves, a network of three heads
            learning.clock.advance(updates=50_000)
            learning.tend()
        return learning

    compared = compare(benchmark, Learning, make, pairs=PAIRS)
    report(f"{name} / bare: {compared.ratio} by the clock, {compared.processor_ratio} of processor time, {PAIRS} pairs")


@pytest.mark.parametrize("name", MOMENTS)
def test_at_its_moments(name: str, benchmark: BenchmarkFixture, report: Report) -> None:
    default: Any = PLUGINS[name]()

    def make() -> Work:
        plugin = evolve(default, when=Every(1))
        learning = Learning([plugin])
        if isinstance(plugin, OptimizerModifier):
            params = {name: parameter.detach() for name, parameter in learning.learner.params.items()}
            return lambda: plugin.after_step(params, 1e-4)
        learning.update()
        return learning.agent.tend  # without a tick, it is due again at once

    compared = compare(benchmark, Learning, make, pairs=PAIRS)
    share = 1 + compared.ratio.median * moments(default) / UPDATES
    report(
        f"{name} / bare: {share:.5f}; a moment is {compared.ratio} updates by the clock, "
        f"{compared.milliseconds(1):.1f} ms of processor time, {default.when}, {PAIRS} pairs"
    )
