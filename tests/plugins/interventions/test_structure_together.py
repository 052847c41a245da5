"""What changes the structure or adds a penalty, with everything else at once: on Rainbow, and on SAC from both inputs.

Each runs across resets, injections and shrinking; after every update and every edit all invariants hold, and
Rainbow goes on from a checkpoint bit for bit.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from attrs import evolve

from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.recipes.options import build
from plastic.core.recipes.recipe import Chosen
from plastic.testing.compare import differences, same
from plastic.testing.invariants import faults
from plastic.testing.known import built_in
from plastic.testing.trial import STEPS
from plastic.testing.trial import Trial as Control
from tests.trial import Trial

Options = Mapping[str, Any]
OURS: Mapping[str, Options] = {
    "l2_init": {"strength": 0.1},
    "dropout": {"p": 0.2},
    "spectral_norm": {},
    "rational": {},
    "fourier_features": {"layers": "head"},
    "wider": {"factor": 1.5},
    "parseval": {"strength": 0.01},
    "normalize_project": {"when": {"every": 1}},
    "infer": {"heads": 3, "beta": 2.0},
}
OTHERS: Mapping[str, Options] = {
    "sam": {"rho": 0.05},
    "crelu": {},
    "layer_norm": {},
    "reset": {"layers": "head", "when": {"every": 3}},
    "shrink_perturb": {"layers": "not-head", "when": {"every": 1}},
    "plasticity_injection": {"when": {"at": 2}},
}
PROBES: Mapping[str, Options] = {
    name: {"when": {"at": 4}}
    for name in ("active_units", "dormant_units", "feature_rank", "gradient_norm", "weight_norm")
}
INSTEAD = {"rational": "crelu", "fourier_features": "crelu", "normalize_project": "layer_norm"}
PENALTIES = ("l2_init", "parseval", "infer")

_FIRST: Options = {"layers": "head*.0", "when": {"every": 1}}


def chosen(*names: str) -> list[Chosen]:
    """These, the others that none of them claims the place of, and all probes."""
    replaced = {INSTEAD[name] for name in names if name in INSTEAD}
    others = {name: options for name, options in OTHERS.items() if name not in replaced}
    # where no activation can be off, nothing is active
    probes = {name: options for name, options in PROBES.items() if name != "active_units" or "crelu" not in replaced}
    said = {name: OURS[name] for name in names} | others | probes
    return [Chosen(name, options) for name, options in said.items()]


def plugins(of: Sequence[Chosen]) -> list[Plugin]:
    return [build(built_in().find("plugin", one.name), one.options, one.name) for one in of]


def sound(trial: Any, learners: Mapping[str, Learner], update: Callable[[], None]) -> None:
    """An update and its edits, with a look at every learner after each."""
    update()
    assert {name: faults(learner) for name, learner in learners.items() if faults(learner)} == {}
    trial.tend()
    assert {name: faults(learner) for name, learner in learners.items() if faults(learner)} == {}


def state(learner: Learner) -> dict[str, Any]:
    return {part: value for part, value in learner.state_dict().items() if part != "history"}


@pytest.mark.parametrize("names", [(name,) for name in OURS] + [(*PENALTIES, "dropout", "spectral_norm", "wider")])
def test_on_rainbow(names: tuple[str, ...]) -> None:
    trial = Trial(plugins(chosen(*names))).warm_up()
    saved = io.BytesIO()
    for number in range(1, 5):
        sound(trial, {"rainbow": trial.learner}, trial.update)
        trial.act()
        if number == 3:
            saved = trial.save()
    resumed = Trial(plugins(chosen(*names))).load(saved).run(4)
    assert differences(state(trial.learner), state(resumed.learner)) == []
    assert same(trial.measured, {**trial.measured, **resumed.measured})
    assert trial.actions[-1:] == resumed.actions[-1:]


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("states", name) for name in OURS), ("pixels", "spectral_norm"), ("pixels", "normalize_project")],
)
def test_on_sac(kind: str, name: str) -> None:
    these = chosen(name)
    if kind == "states":  # which have a head alone, injected or not
        these = [evolve(one, options=_FIRST) if one.name == "shrink_perturb" else one for one in these]
    trial = Control(kind, these).warm_up()
    while trial.clock.now.agent_steps < STEPS - 1:
        trial.act()
        for _ in range(trial.owed()):
            sound(trial, trial.learners, trial.update)
