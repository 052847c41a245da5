"""Runs that fail on the way: one line, exit 1, and the last good checkpoint stays."""

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

POISON = """
from attrs import define, field
from plastic.core.modifier import OptimizerModifier

@define(eq=False)
class Poison(OptimizerModifier):
    name = "poison"
    at: int = 60
    seen: int = field(default=0, init=False)

    def gradients(self, evaluate, params):
        losses, gradients = evaluate()
        self.seen += 1
        return (losses * float("nan") if self.seen == self.at else losses), gradients
"""


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(plastic: "Plastic") -> None:
    Path("poison.py").write_text(POISON)
    # The first update follows step 32, so update 60 is at step 91, after the checkpoint of step 50.
    done = plastic.run("--plugin", "poison:Poison", "--set", "checkpoint_every=50", "--out", "mine")
    assert done.code == 1
    assert "since update 60" in done.error
    assert done.error.endswith("the last good checkpoint is mine/checkpoints/0000000050.ckpt")
    assert [path.name for path in Path("mine/checkpoints").iterdir()] == ["0000000050.ckpt"]
    again = plastic("evaluate", "mine", "--episodes", "1")
    assert again.code == 0
    assert "after 50 steps" in again.out


def test_a_loss_that_is_not_finite_before_the_first_checkpoint(plastic: "Plastic") -> None:
    Path("poison.py").write_text(POISON)
    done = plastic.run("--plugin", "poison:Poison:at=5", "--out", "mine")
    assert done.code == 1
    assert "since update 5; no checkpoint had been written yet" in done.error


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to be a full disk")


@needs_full
def test_a_disk_that_is_full_when_a_checkpoint_is_written(plastic: "Plastic", finished: Path) -> None:
    kept = {path.name: path.read_bytes() for path in (finished / "checkpoints").iterdir()}
    (finished / "checkpoints/.0000000200.ckpt.partial").symlink_to("/dev/full")
    done = plastic("resume", finished, "--steps", "200")
    assert done.code == 1
    assert done.error == ("cannot write the checkpoint finished/checkpoints/0000000200.ckpt: No space left on device")
    assert {path.name: path.read_bytes() for path in (finished / "checkpoints").iterdir()} == kept
    assert plastic("resume", finished, "--quiet").code == 0, "it goes on once there is room"


@needs_full
def test_a_disk_that_is_full_when_a_line_is_written(plastic: "Plastic", finished: Path) -> None:
    (finished / "timing.csv").unlink()
    (finished / "timing.csv").symlink_to("/dev/full")
    done = plastic("resume", finished, "--steps", "250")
    assert done.code == 1
    assert done.error == "cannot write finished/timing.csv: No space left on device"


def test_a_disk_that_is_full_when_the_picture_is_drawn(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    done = plastic.run("--out", "mine")
    assert done.code == 1
    assert "cannot write mine/curve.png: No space left on device" in done.error


def test_an_error_that_nobody_expected_is_one_line(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*arguments: object, **more: object) -> None:
        raise ZeroDivisionError("a\nlong story " + "that goes on " * 100)

    monkeypatch.setattr("plastic.running.prepare", surprise)
    done = plastic.run()
    assert done.code == 1
    assert done.error.startswith("ZeroDivisionError: a long story that goes on")
    assert done.error.endswith(" ... (unexpected; set PLASTIC_DEBUG=1 for the traceback)")
    assert len(done.error) < 500


BOOM = """
from attrs import frozen
from plastic.core.intervention import PlasticityIntervention
from plastic.core.schedule import Every, Schedule

@frozen(eq=False)
class Boom(PlasticityIntervention):
    name = "boom"
    when: Schedule = Every(20)

    def edits(self, subject):
        1 / 0
"""


def test_an_error_in_somebodys_plugin_names_it(plastic: "Plastic") -> None:
    Path("explosive.py").write_text(BOOM)
    done = plastic.run("--plugin", "explosive:Boom")
    assert done.code == 1
    assert done.error == (
        "boom (from explosive), in edits after update 20: ZeroDivisionError: division by zero "
        "(unexpected; set PLASTIC_DEBUG=1 for the traceback)"
    )


def test_the_traceback_is_there_for_who_asks(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*arguments: object, **more: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("plastic.running.prepare", surprise)
    monkeypatch.setenv("PLASTIC_DEBUG", "1")
    done = plastic.run()
    assert done.code == 1
    assert done.err.startswith("Traceback (most recent call last):")


def test_an_interrupt_before_a_run_has_begun(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("plastic.running.prepare", pressed)
    done = plastic.run()
    assert (done.code, done.error) == (130, "interrupted")
