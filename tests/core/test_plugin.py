"""What plugins share."""

from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import OptimizerModifier
from plastic.core.schedule import At, Clock, Every, Never, Schedule


@frozen(eq=False)
class Penalty(PlasticityIntervention):
    name = "penalty"

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> float:
        return 1.0


@frozen(eq=False)
class Inherited(Penalty):
    name = "inherited"


@frozen(eq=False)
class Timed(OptimizerModifier):
    name = "timed"
    when: Schedule = Every(2)


def test_overrides_tells_a_seam_from_its_identity() -> None:
    assert Penalty().overrides("penalty")
    assert not Penalty().overrides("edits")
    assert Inherited().overrides("penalty")
    assert not Timed().overrides("gradients")


@pytest.mark.parametrize(("when", "due"), [(Every(2), True), (At(3), False), (Never(), False)])
def test_a_plugin_is_due_when_its_schedule_says(when: Schedule, due: bool) -> None:
    clock = Clock()
    clock.advance(updates=2)
    assert Timed(when).due(clock) is due


def test_a_plugin_without_a_schedule_is_always_due() -> None:
    assert Penalty().due(Clock())


def test_every_seam_of_a_modifier_is_its_identity() -> None:
    modifier, marker = Timed(), object()

    def evaluate(*arguments: Any, **options: Any) -> Any:
        assert (arguments, options) == ((), {})
        return marker

    def make(parameters: Any) -> Any:
        raise AssertionError

    assert modifier.gradients(evaluate, {}) is marker
    assert modifier.optimizer(make) is make
    assert modifier.evaluation is None


def test_every_seam_of_an_intervention_is_its_identity() -> None:
    @frozen(eq=False)
    class Nothing(PlasticityIntervention):
        name = "nothing"

    model = nn.Linear(1, 1)
    assert Nothing().build(model) is model
    assert Nothing().penalty(model, (torch.zeros(1),)) == 0
    assert list(Nothing().edits(None)) == []  # type: ignore[arg-type]
