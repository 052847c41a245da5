"""What exchanges or cuts units, all at once, on whole agents: nothing breaks, and a resumed run is the same run."""

import pytest
from torch import Tensor

from plastic.core.recipes.recipe import Chosen
from plastic.core.schedule import At, Every
from plastic.plugins.interventions.continual_backprop import ContinualBackprop
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.prune_dormant import PruneDormant
from plastic.plugins.interventions.redo import ReDo
from plastic.plugins.interventions.regrama import ReGraMa
from plastic.testing import trial as control_trial
from plastic.testing.invariants import faults
from tests.plugins.learners import differences, state
from tests.trial import Trial

CHOSEN = (
    Chosen("redo", {"tau": 0.6, "when": {"every": 2}}),
    Chosen("regrama", {"tau": 0.6, "when": {"every": 3}}),
    Chosen("continual_backprop", {"rate": 0.3, "maturity": 1, "when": {"every": 1}}),
    Chosen("prune_dormant", {"checks": 1, "when": {"every": 2}}),
)
OTHERS = (Chosen("crelu"), Chosen("layer_norm"))


@pytest.mark.parametrize(("kind", "others"), [("states", OTHERS), ("drq", ()), ("pixels", OTHERS)])
def test_actor_critics(kind: str, others: tuple[Chosen, ...]) -> None:
    def trial() -> control_trial.Trial:
        return control_trial.Trial(kind, (*CHOSEN, *others))

    whole, half = trial().warm_up().run(), trial().warm_up().run(control_trial.STEPS - 2)
    again = trial().load(half.save()).run()
    for name, learner in whole.learners.items():
        assert faults(learner) == [], name
        assert differences(state(learner), state(again.learners[name])) == set(), name
    # both networks are acted on; a temperature has no units
    assert {name for name, learner in whole.learners.items() if learner.plugins} == {"critic", "actor"}


def plugins() -> tuple[ReDo | ReGraMa | ContinualBackprop | PruneDormant | PlasticityInjection, ...]:
    return (
        ReDo(tau=0.6, when=Every(2)),
        ReGraMa(tau=0.6, when=Every(3)),
        ContinualBackprop(rate=0.3, maturity=1, when=Every(1)),
        PruneDormant(checks=1, when=Every(2)),
        PlasticityInjection(when=At(4)),
    )


def test_rainbow() -> None:
    def trial() -> Trial:
        return Trial((*plugins(), ConcatenatedReLU(), LayerNorm()))

    whole, half = trial().warm_up().run(), trial().warm_up().run(5)
    again = trial().load(half.save()).run()
    assert faults(whole.learner) == []
    found, same = state(whole.learner), state(again.learner)
    assert differences(found, same) == set()
    assert any(isinstance(value, Tensor) and "head.new" in name for name, value in found.items())
