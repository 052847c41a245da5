"""Every probe, on Rainbow, SAC and DrQ-v2, at a schedule: the run is bit for bit the one without.

Resets and injections happen at the moments they look, and a checkpoint in between.
"""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.recipes import options
from plastic.core.recipes.recipe import Chosen
from plastic.core.schedule import At, Every
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.testing import trial as control_trial
from plastic.testing.compare import differences, same
from plastic.testing.invariants import faults
from plastic.testing.known import built_in
from tests import trial

KNOWN = built_in().all("plugin")
PROBES = sorted(name for name in KNOWN if issubclass(KNOWN[name].cls, Probe))
# Made cheap; what they look at is what it is by default
OPTIONS: Mapping[str, Mapping[str, Any]] = {"hessian": {"steps": 3}, "trainability": {"steps": 2}}
BOTH = frozenset({"critic", "actor"})
WHEN = {"when": {"every": 2}}
EVERYWHERE: Mapping[str, frozenset[str]] = dict.fromkeys(("states", "pixels", "drqv2"), BOTH)
# On whose networks each finds something to measure; nowhere, and it is refused
WHERE: Mapping[str, Mapping[str, frozenset[str]]] = {
    "churn": dict.fromkeys(EVERYWHERE, frozenset({"actor"})),
    "explained_variance": dict.fromkeys(EVERYWHERE, frozenset({"critic"})),
    "saturated_units": {"pixels": BOTH, "drqv2": BOTH},
}
REFUSED = "saturated_units: no hidden layer ends in a tanh or a sigmoid; active_units counts those behind a ReLU"


def of_rainbow(*probes: Plugin) -> list[Plugin]:
    """An injection at the second update and a reset at the fourth around the probes."""
    return [PlasticityInjection(when=At(2)), *probes, Reset(when=Every(4))]


def training(learners: Mapping[str, Learner]) -> dict[str, Any]:
    """All that further training depends on; what probes keep is no part of it."""
    parts: dict[str, Any] = {}
    for name, learner in learners.items():
        assert faults(learner) == []
        parts |= {f"{name}/{key}": value for key, value in learner.state_dict().items()}
        del parts[f"{name}/plugins"], parts[f"{name}/names"]
    return parts


def defined(measured: Mapping[str, float]) -> bool:
    """Whether every number is one; two sets of dormant units of which one is empty do not overlap."""
    return all(math.isfinite(value) for name, value in measured.items() if "/overlap/" not in name)


def probe(name: str) -> Plugin:
    return options.build(KNOWN[name].cls, {**OPTIONS.get(name, {}), **WHEN}, name)  # type: ignore[no-any-return]


def test_on_rainbow_across_an_injection_a_checkpoint_and_a_reset() -> None:
    with pytest.raises(UsageError, match=REFUSED):
        trial.Trial([probe("saturated_units")])
    names = {*PROBES} - {"saturated_units"}

    def probed() -> trial.Trial:
        return trial.Trial(of_rainbow(*map(probe, sorted(names))))

    bare, once = trial.Trial(of_rainbow()).warm_up().run(), probed().warm_up().run()
    assert differences(training(once.agent.learners), training(bare.agent.learners)) == []
    assert once.actions == bare.actions
    assert all(map(defined, once.measured.values()))
    for update in (2, 4, 6, 8):
        assert {key.split("/")[0] for key in once.measured[update]} == names
    first = probed().warm_up().run(2)  # the policy that churn compares was remembered, and not yet compared
    second = probed().load(first.save()).run()
    assert differences(training(second.agent.learners), training(bare.agent.learners)) == []
    assert same(first.measured | second.measured, once.measured)


@pytest.mark.parametrize("kind", ["states", "pixels", "drqv2"])
def test_on_actor_and_critics_across_an_injection_a_checkpoint_and_resets(kind: str) -> None:
    edits = [Chosen("plasticity_injection", {"when": {"at": 2}}), Chosen("reset", {"when": {"every": 2}})]
    if kind == "states":
        with pytest.raises(UsageError, match=REFUSED):
            control_trial.Trial(kind, [Chosen("saturated_units")])
    where = {name: WHERE.get(name, EVERYWHERE).get(kind, frozenset()) for name in PROBES}
    probes = [Chosen(name, {**OPTIONS.get(name, {}), **WHEN}) for name in PROBES if where[name]]

    def probed() -> control_trial.Trial:
        return control_trial.Trial(kind, [edits[0], *probes, edits[1]])

    bare, once = control_trial.Trial(kind, edits).warm_up().run(), probed().warm_up().run()
    assert differences(training(once.learners), training(bare.learners)) == []
    assert same(once.actions, bare.actions)
    found = {tuple(key.split("/")[:2]) for measured in once.measured.values() for key in measured}
    assert found == {(learner, name) for name in where for learner in where[name]}
    assert all(map(defined, once.measured.values()))
    assert once.measured.keys() == {2, 3, 4, 5}  # at 3 and 5 churn alone
    first = probed().warm_up().run(control_trial.WARM + 1)
    second = probed().load(first.save()).run()
    assert differences(training(second.learners), training(bare.learners)) == []
    assert same(first.measured | second.measured, once.measured)
