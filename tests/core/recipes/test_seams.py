"""A class that fills the seams of its kind otherwise than they are is refused when it is registered."""

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import frozen

from plastic.core.errors import UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.recipes.registry import Registry
from plastic.core.schedule import Always, Schedule
from plastic.core.subject import Subject
from plastic.testing.known import built_in
from tests.core.recipes.test_registry import hooks


@frozen(eq=False)
class EditingProbe(Probe):
    name = "editing_probe"
    when: Schedule = Always()

    def measure(self, subject: Subject) -> dict[str, Any]:
        return {}

    def edits(self, subject: Subject) -> Sequence[Any]:
        return ()


@frozen(eq=False)
class Measuring(OptimizerModifier):
    name = "measuring"

    def measure(self, subject: Subject) -> dict[str, Any]:
        return {}


@frozen(eq=False)
class Short(OptimizerModifier):
    name = "short"

    def gradients(self, evaluate: Evaluate) -> Any:  # type: ignore[override]
        return evaluate()


@frozen(eq=False)
class Long(OptimizerModifier):
    name = "long"

    def after_step(self, params: Parameters, lr: float, step: int) -> None:  # type: ignore[override]
        pass


@frozen(eq=False)
class Static(PlasticityIntervention):
    name = "static"
    when: Schedule = Always()

    @staticmethod
    def edits(subject: Subject) -> Sequence[Any]:
        return ()


@frozen(eq=False)
class Called(OptimizerModifier):
    name = "called"

    def evaluation(self) -> str | None:  # type: ignore[override]
        return None


@frozen(eq=False)
class Misspelt(PlasticityIntervention):
    name = "misspelt"

    def penalties(self, model: Any, inputs: Any) -> float:
        return 1.0


@frozen(eq=False)
class Empty(Probe):
    name = "empty"
    when: Schedule = Always()


@pytest.mark.parametrize(
    ("hook", "cls", "message"),
    [
        (
            "plastic_probes",
            EditingProbe,
            "EditingProbe is a Probe and changes nothing, and `edits` is of a PlasticityIntervention; make it two",
        ),
        ("plastic_modifiers", Measuring, "Measuring is a OptimizerModifier, and `measure` is of a Probe; make it two"),
        (
            "plastic_modifiers",
            Short,
            "Short.gradients takes (self, evaluate), and OptimizerModifier.gradients (self, evaluate, params)",
        ),
        (
            "plastic_modifiers",
            Long,
            "Long.after_step takes (self, params, lr, step), and OptimizerModifier.after_step (self, params, lr)",
        ),
        ("plastic_interventions", Static, "Static.edits is a staticmethod, and PlasticityIntervention.edits a method"),
        ("plastic_modifiers", Called, "Called.evaluation is no property, and OptimizerModifier.evaluation is"),
        (
            "plastic_interventions",
            Misspelt,
            "Misspelt has a method `penalties`, which nobody calls; did you mean `penalty`? If not, begin it with _",
        ),
        ("plastic_probes", Empty, "Empty has no `measure`; a Probe needs one"),
    ],
)
def test_what_fills_a_seam_otherwise_is_refused(hook: str, cls: type[Plugin], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Registry().add(hooks(**{hook: [cls]}), "mine")
    assert str(caught.value).startswith(f"mine: {message}")


def test_other_names_of_arguments_and_defaults_behind_them_are_welcome() -> None:
    @frozen(eq=False)
    class Free(OptimizerModifier):
        name = "free"

        def gradients(self, again: Evaluate, weights: Parameters, more: int = 0) -> tuple[Any, Gradients]:
            return again()

        def inspected(self) -> int:
            return 0

    assert built_in(Free).get("plugin", "free") is Free
