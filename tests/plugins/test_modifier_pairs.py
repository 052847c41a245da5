"""Any two modifiers go together, and any modifier with any edit, on Rainbow and on SAC's critics and actor.

Each pair trains across two edits, keeps every invariant, and goes on exactly from a checkpoint between them. Neither of
the two is inert beside the other: training with both is not training with one.
"""

import io
from collections.abc import Callable, Mapping
from functools import cache
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.learning.plugin_state import plugin_state
from plastic.core.modifier import OptimizerModifier
from plastic.core.plugin import Plugin
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.schedule import Always, At, Every
from plastic.plugins.hooks import plastic_modifiers
from plastic.plugins.interventions.optimizer_reset import OptimizerReset
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.clip_gradients import ClipGradients
from plastic.plugins.modifiers.hare_tortoise import HareTortoise
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.muon import Muon
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.modifiers.swa import SWA
from plastic.plugins.modifiers.trac import TRAC
from plastic.testing.invariants import faults
from tests.agents.actor_critic.trial import Trial
from tests.plugins.learners import batch, differences, rainbow, state, train

MIDDLE, UPDATES = 3, 5  # edits after updates 2 and 4
MODIFIERS: Mapping[str, Callable[[], Plugin]] = {
    "sam": lambda: SAM(rho=0.1),
    "swa": lambda: SWA(when=Always()),
    "l2": lambda: L2(strength=0.1, decoupled=True),
    "clip_gradients": lambda: ClipGradients(limit=1e-3, by="value"),
    "hare_tortoise": lambda: HareTortoise(momentum=0.5, when=Every(3)),
    "trac": lambda: TRAC(initial=0.05),
    "muon": lambda: Muon(rate=0.5),
}
EDITS: Mapping[str, Callable[[], Plugin]] = {
    "reset": lambda: Reset(layers="head", when=Every(2)),
    "shrink_perturb": lambda: ShrinkPerturb(layers="head", when=Every(2)),
    "plasticity_injection": lambda: PlasticityInjection(when=At(2)),
    "optimizer_reset": lambda: OptimizerReset(when=Every(2)),
}
ALL = {**MODIFIERS, **EDITS}
REFUSED = {("hare_tortoise", "trac")}
PAIRS = [
    *(pair for pair in combinations(MODIFIERS, 2) if pair not in REFUSED),
    *((modifier, edit) for modifier in MODIFIERS for edit in EDITS),
]
every_pair = pytest.mark.parametrize("names", PAIRS, ids="+".join)


def plugins(names: tuple[str, ...]) -> list[Plugin]:
    return [ALL[name]() for name in names]


def all_of(learner: Learner) -> dict[str, Any]:
    """A learner and what its plugins remember."""
    own = {f"{plugin.name}/{key}": value for plugin in learner.plugins for key, value in plugin_state(plugin).items()}
    return {**state(learner), **own}


def weights(learner: Learner) -> list[Tensor]:
    """Of the trained network and of what is evaluated, in a fixed order."""
    models = [learner.model, *(learner.copies[name] for name in ([learner.evaluation] if learner.evaluation else []))]
    return [parameter.detach().clone() for model in models for parameter in model.parameters()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def test_every_modifier_is_among_them() -> None:
    assert {cls.name for cls in plastic_modifiers()} == MODIFIERS.keys()


# ------------------------------------------------------------------ Rainbow


@cache
def rainbow_with(name: str) -> list[Tensor]:
    learner = rainbow(ALL[name]())
    train(learner, UPDATES)
    return weights(learner)


@every_pair
def test_on_rainbow(names: tuple[str, str]) -> None:
    learner = rainbow(*plugins(names))
    train(learner, MIDDLE)
    assert faults(learner) == []
    resumed = rainbow(*plugins(names))
    resumed.load_state_dict(_through_a_file(learner.state_dict()))
    resumed.clock.now, resumed.clock.before = learner.clock.now, learner.clock.before
    for one in (learner, resumed):
        train(one, UPDATES - MIDDLE)
        assert faults(one) == []
        assert one.bad_update() is None
    assert differences(all_of(learner), all_of(resumed)) == set()
    for name in names:
        assert not same(weights(learner), rainbow_with(name)), f"beside {name} the other does nothing"


def _through_a_file(values: Mapping[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save(values, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


class Waits(TorchDispatchMode):
    """Counts how often a tensor's value is asked for: on a GPU, each time the host waits."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += int(func is torch.ops.aten._local_scalar_dense.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", MODIFIERS)
def test_none_of_them_waits_for_the_device(name: str) -> None:
    def waits(*given: Plugin) -> int:
        learner = rainbow(*given)
        train(learner, 1)
        drawn = batch(2)
        learner.clock.advance(updates=1)
        with Waits() as counted:
            learner.update(drawn)
        return int(counted.count)

    assert waits(ALL[name]()) == waits()


def test_that_count_can_be_another() -> None:
    with Waits() as counted:
        float(torch.ones(()))
    assert counted.count == 1


# ------------------------------------------------------------------ SAC


def trial(names: tuple[str, ...]) -> Trial:
    return Trial(plugins={learner: plugins(names) for learner in ("critic", "actor")}).warm_up()


@cache
def sac_with(name: str) -> dict[str, list[Tensor]]:
    return {key: weights(learner) for key, learner in trial((name,)).run(UPDATES).agent.learners.items()}


@every_pair
def test_on_sac(names: tuple[str, str]) -> None:
    whole = trial(names).run(MIDDLE)
    resumed = trial(names).load(whole.save())
    learners = whole.agent.learners
    for one in (whole, resumed):
        one.run(UPDATES)
        for learner in one.agent.learners.values():
            assert faults(learner) == []
            assert learner.bad_update() is None
    for key, learner in learners.items():
        assert differences(all_of(learner), all_of(resumed.agent.learners[key])) == set()
    for key in ("critic", "actor"):
        for name in names:
            assert not same(weights(learners[key]), sac_with(name)[key]), f"{key}: beside {name} the other does nothing"


# ------------------------------------------------------------------ what does not go together


@pytest.mark.parametrize("names", sorted(REFUSED), ids="+".join)
def test_what_cannot_go_together_is_refused(names: tuple[str, str]) -> None:
    for order in (names, names[::-1]):
        with pytest.raises(UsageError, match="both claim the weights after a step; choose one"):
            refuse_conflicts([Addressed({"rainbow": plugin}) for plugin in plugins(order)])


@pytest.mark.parametrize("names", [*combinations(MODIFIERS, 2)], ids="+".join)
def test_all_others_are_not(names: tuple[str, str]) -> None:
    if names not in REFUSED:
        refuse_conflicts([Addressed({"rainbow": plugin}) for plugin in plugins(names)])


@pytest.mark.parametrize("rest", ["hare_tortoise", "trac"])
def test_all_at_once_in_any_order_of_the_list(rest: str) -> None:
    """The stage decides what is around what; so do edits come after modifiers, wherever they stand."""
    names = ("sam", "swa", "l2", "clip_gradients", rest, "muon", "plasticity_injection", "optimizer_reset")
    learners = []
    for order in (names, names[5::-1] + names[6:], names[6:] + names[:6]):
        learner = rainbow(*plugins(order))
        train(learner, UPDATES)
        assert faults(learner) == []
        learners.append(learner)
    first, *others = (weights(learner) for learner in learners)
    assert all(same(first, other) for other in others)
    assert sum(isinstance(plugin, OptimizerModifier) for plugin in learners[0].plugins) == 6
