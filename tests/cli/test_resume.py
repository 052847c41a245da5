"""`plastic resume`, and Ctrl-C before it."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plastic.core.runs.folder_lock import FolderLock
from plastic.core.runs.run import Run

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

PLUGINS = ("--plugin", "sam", "reset:when=40", "swa:when=10", "active_units:when=25")


def press(monkeypatch: pytest.MonkeyPatch, at: int, *signals: signal.Signals) -> None:
    """Have these signals come, once, during the step `at`."""
    step = Run._step
    left = list(signals)

    def and_press(run: Run) -> None:
        step(run)
        while run.clock.now.agent_steps == at and left:
            signal.raise_signal(left.pop())

    monkeypatch.setattr(Run, "_step", and_press)


def test_ctrl_c_then_resume_is_as_if_nothing_had_happened(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    assert plastic.run(*PLUGINS, "--quiet", "--out", "whole").code == 0
    press(monkeypatch, 97, signal.SIGINT)
    stopped = plastic.run(*PLUGINS, "--quiet", "--out", "two parts")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.error == ("stopped after 97 steps; a checkpoint was written; go on with: plastic resume 'two parts'")
    assert not Path("two parts/result.json").exists()
    assert Path("two parts/metrics.jsonl").read_bytes() != Path("whole/metrics.jsonl").read_bytes()
    resumed = plastic("resume", "two parts", "--quiet")
    assert (resumed.code, resumed.err) == (0, "")
    for name in ("metrics.jsonl", "result.json"):
        assert (Path("two parts") / name).read_bytes() == (Path("whole") / name).read_bytes()


def test_sigterm_is_as_ctrl_c_with_its_own_code(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, 97, signal.SIGTERM)
    assert plastic.run("--quiet", "--out", "mine").code == 143
    assert [path.name for path in Path("mine/checkpoints").iterdir()] == ["0000000097.ckpt"]


def test_a_second_ctrl_c_ends_at_once(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, 97, signal.SIGINT, signal.SIGINT)
    stopped = plastic.run("--quiet", "--set", "checkpoint_every=60", "--out", "mine")
    assert stopped.code == 130
    assert stopped.error == "stopped at once, without a checkpoint of this step; go on with: plastic resume mine"
    assert [path.name for path in Path("mine/checkpoints").iterdir()] == ["0000000060.ckpt"]
    assert plastic("resume", "mine", "--quiet").code == 0


def test_ctrl_c_during_the_final_evaluation(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = Run._evaluate

    def and_press(run: Run) -> list[float]:
        signal.raise_signal(signal.SIGINT)
        return evaluate(run)

    with monkeypatch.context() as pressed:
        pressed.setattr(Run, "_evaluate", and_press)
        assert plastic.run("--quiet", "--out", "mine").code == 130
    assert plastic("resume", "mine", "--quiet").out.startswith("score ")


def test_the_signals_are_given_back(plastic: "Plastic") -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert plastic.run("--quiet", "--set", "eval_episodes=0").code == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_run_that_is_at_work_is_not_resumed(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, 97, signal.SIGINT)
    assert plastic.run("--quiet", "--out", "mine").code == 130
    lock = FolderLock(Path("mine"))
    refused = plastic("resume", "mine")
    assert (refused.code, refused.out) == (2, "")
    assert refused.error.startswith("a run of this very process is at work in mine; ")
    lock.release()
    assert plastic("resume", "mine", "--quiet").code == 0


def test_progress_says_that_a_checkpoint_is_written(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, 97, signal.SIGINT)
    stopped = plastic.run("--out", "mine")
    assert "\nwriting a checkpoint: 97 of 150 steps" in stopped.out


def test_a_finished_run_says_so(plastic: "Plastic", finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    done = plastic("resume", finished)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("finished has finished: 150 steps, score ")
    assert done.out.endswith("\nto make it longer: plastic resume finished --steps N\n")
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_a_finished_run_can_be_made_longer(plastic: "Plastic", finished: Path) -> None:
    *before, evaluation = (finished / "metrics.jsonl").read_text().splitlines()
    done = plastic("resume", finished, "--steps", "200")
    assert done.code == 0
    assert "goes on      after 150 steps and 119 updates\n" in done.out
    assert "steps        200 agent steps -> 169 updates in total\n" in done.out
    assert "preset" not in done.out, "the recipe says every value by now"
    after = (finished / "metrics.jsonl").read_text().splitlines()
    assert after[: len(before)] == before
    assert evaluation not in after, "it was that of the end, which is elsewhere now"
    assert '"agent_steps": 200' in after[-1]


def test_fewer_steps_than_were_done_are_refused(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, 97, signal.SIGINT)
    assert plastic.run("--quiet", "--out", "mine").code == 130
    refused = plastic("resume", "mine", "--steps", "50")
    assert refused.code == 2
    assert "mine is at step 97 already" in refused.error


def test_fewer_steps_than_a_finished_run_has_are_refused(plastic: "Plastic", finished: Path) -> None:
    refused = plastic("resume", finished, "--steps", "149")
    assert (refused.code, refused.out) == (2, "")
    assert refused.error == "finished is at step 150 already; give more than that, not 149"
    assert plastic("resume", finished, "--steps", "150").out.startswith("finished has finished: 150 steps")
