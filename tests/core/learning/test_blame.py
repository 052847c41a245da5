"""Which plugin an error came from."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.core.edits import Overwrite, Replace
from plastic.core.errors import UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.learning.blame import _culprit
from plastic.core.modifier import OptimizerModifier
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.recording.capture import Capture
from plastic.core.recording.programs import Programs
from plastic.core.schedule import At, Every, Schedule
from plastic.plugins.modifiers.sam import SAM
from tests.core.stubs import Fit, Scripted, learner_with, train


def boom(*arguments: Any) -> Any:
    raise ZeroDivisionError("division by zero")


@frozen(eq=False)
class Breaking(PlasticityIntervention):
    """Breaks in one seam."""

    name = "breaking"
    seam: str
    when: Schedule = Every(2)

    def _at(self, seam: str) -> None:
        if seam == self.seam:
            boom()

    def build(self, model: nn.Module) -> nn.Module:
        self._at("build")
        return model

    def start(self, model: nn.Module, lag: Any) -> None:
        self._at("start")

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> float:
        self._at("penalty")
        return 0.0

    def edits(self, subject: Any) -> Any:
        self._at("edits")
        yield Overwrite("head.2.bias", boom if self.seam == "value" else torch.zeros(2))
        yield Replace("head", self.wrap)

    def wrap(self, module: nn.Module) -> nn.Module:
        self._at("wrap")
        return module

    def renewed(self, names: Any) -> None:
        self._at("renewed")


@frozen(eq=False)
class BreakingModifier(OptimizerModifier):
    """Breaks in one seam."""

    name = "breaking"
    seam: str

    def _at(self, seam: str) -> None:
        if seam == self.seam:
            boom()

    def prepare(self, due: Any) -> None:
        self._at("prepare")

    def gradients(self, evaluate: Any, params: Any) -> Any:
        found = evaluate()
        self._at("gradients")
        return found

    def after_step(self, params: Any, lr: Any) -> None:
        self._at("after_step")


@frozen(eq=False)
class BreakingProbe(Probe):
    """Breaks when it measures."""

    name = "breaking"
    when: Schedule = At(3)

    def measure(self, subject: Any) -> Any:
        return boom()


def notes_of(work: Callable[[], object]) -> list[str]:
    with pytest.raises(ZeroDivisionError, match="division by zero") as caught:
        work()
    return getattr(caught.value, "__notes__", [])


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (Breaking("build"), "in build before the first update"),
        (Breaking("start"), "in start before the first update"),
        (Breaking("penalty"), "in penalty at update 1"),
        (Breaking("edits"), "in edits after update 2"),
        (Breaking("value"), "in edits after update 2"),
        (Breaking("wrap"), "in wrap after update 2"),
        (Breaking("renewed"), "in renewed after update 2"),
        (BreakingModifier("prepare"), "in prepare at update 1"),
        (BreakingModifier("gradients"), "in gradients at update 1"),
        (BreakingModifier("after_step"), "in after_step at update 1"),
        (BreakingProbe(), "in measure after update 3"),
    ],
)
def test_the_note_names_plugin_seam_and_moment(plugin: Plugin, words: str) -> None:
    found = notes_of(lambda: train(learner_with(SAM(), plugin, Scripted(lambda subject: ())), 4))
    assert found == [f"breaking (from tests), {words}"]


def test_so_does_that_of_an_update_that_is_recorded() -> None:
    learner = learner_with(BreakingModifier("gradients"))
    capture = Capture(Programs(), learner.generators, lambda: learner.layout)
    batch = torch.randn(8, 4)

    def update() -> None:
        capture(("update", learner.prepare()), lambda: learner.learn(batch))

    assert notes_of(update) == ["breaking (from tests), in gradients at update 1"]


def test_a_loss_that_a_modifier_asked_for_is_none_of_its_own() -> None:
    objective = Fit()
    setattr(objective, "losses", boom)  # noqa: B010  # mypy knows what else it was
    assert notes_of(lambda: train(learner_with(SAM(), objective=objective), 1)) == []


def test_an_error_for_the_user_stays_as_it_is() -> None:
    def refuse(subject: Any) -> Any:
        raise UsageError("no")

    with pytest.raises(UsageError) as caught:
        train(learner_with(Scripted(refuse)), 1)
    assert not hasattr(caught.value, "__notes__")


def test_an_error_of_nobodys() -> None:
    assert _culprit(ZeroDivisionError(), [SAM()]) is None
