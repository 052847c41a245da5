"""How a run stands, by a clock that the test turns."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plastic.cli.standing import Standing
from plastic.core.runs.run_folder import Lines, RunFolder, dumps
from plastic.core.schedule import Counts


class Watched(Standing):
    """Counts how often there was something to show."""

    def __init__(self) -> None:
        self.time = 0.0
        self.shown: list[str] = []
        super().__init__(lambda: self.time)

    def changed(self) -> None:
        self.shown.append(self.phase)


def a_run(folder: Path, steps: int = 1_000) -> Any:
    return SimpleNamespace(
        recipe=SimpleNamespace(steps=steps),
        folder=RunFolder(folder),
        clock=SimpleNamespace(now=Counts()),
        stop=False,
    )


def at(run: Any, steps: int, updates: int) -> Any:
    run.clock.now = Counts(agent_steps=steps, updates=updates)
    return run


def test_it_looks_at_most_four_times_a_second(tmp_path: Path) -> None:
    run, standing = a_run(tmp_path), Watched()
    standing.started(run)
    for step in range(1, 101):
        standing.time += 0.01
        standing.stepped(at(run, step, 0))
    assert 4 <= len(standing.shown) <= 6
    assert standing.steps > 90


def test_pace_and_time_left_are_those_of_learning(tmp_path: Path) -> None:
    run, standing = a_run(tmp_path), Watched()
    standing.started(run)
    standing.time = 0.25
    standing.stepped(at(run, 200, 0))  # random actions: 800 steps a second
    assert standing.pace == pytest.approx(800)
    assert standing.left is None, "it would foretell a second"
    assert standing.phase == "random actions"
    for look in range(1, 5):
        standing.time += 1
        standing.stepped(at(run, 200 + 10 * look, 10 * look))
    assert standing.pace == pytest.approx(10)
    assert standing.left == pytest.approx((1_000 - 240) / 10)
    assert standing.phase == "training"
    assert standing.facts()[:3] == ["240 of 1,000 steps", "10 steps/s", "1 min 16 s left"]


def test_the_pace_forgets_what_is_more_than_a_minute_old_and_evaluations(tmp_path: Path) -> None:
    run, standing = a_run(tmp_path, steps=100_000), Watched()
    standing.started(run)
    for look in range(1, 241):
        standing.time += 0.25
        standing.stepped(at(run, 100 * look, 100 * look))
    for look in range(1, 241):
        standing.time += 0.25
        standing.stepped(at(run, 24_000 + look, 24_000 + look))
    assert standing.pace == pytest.approx(4)
    standing.evaluating(run, 10)
    assert standing.phase == "evaluation of 10 games"
    standing.time += 500
    standing.stepped(at(run, 24_241, 24_241))
    assert standing.pace is None
    standing.time += 1
    standing.stepped(at(run, 24_246, 24_246))
    assert standing.pace == pytest.approx(5)


def test_scores_are_averaged_over_the_last_twenty_games(tmp_path: Path) -> None:
    standing = Watched()
    for score in range(30):
        standing.recorded({"kind": "episode", "score": float(score)})
    assert standing.facts()[1:3] == ["last game 29", "mean of 20 19.5"]


def test_games_of_an_earlier_session_count(tmp_path: Path) -> None:
    run, standing = a_run(tmp_path), Watched()
    run.folder.metrics.write_text('{"kind": "episode", "score": 7.0}\n{"kind": "train", "loss": 0.12345}\n')
    standing.started(at(run, 500, 100))
    assert standing.facts() == ["500 of 1,000 steps", "last game 7", "mean of 1 7", "loss 0.123", "100 updates"]


def test_scores_and_losses_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    run, standing = a_run(tmp_path), Watched()
    nan, inf = float("nan"), float("inf")
    records: list[dict[str, Any]] = [{"kind": "episode", "score": score} for score in (4.0, nan, inf, 8.0)]
    records += [{"kind": "train", "actor/loss": nan, "critic/loss": 0.5}]
    for record in records:
        Lines(run.folder.metrics).append(dumps(record))
    standing.started(at(run, 500, 100))
    shown = ["500 of 1,000 steps", "last game 8", "mean of 2 6", "critic loss 0.5", "100 updates"]
    assert standing.facts() == shown
    for record in records:
        standing.recorded(record)
    assert standing.facts() == [*shown[:2], "mean of 4 6", *shown[3:]]
    standing.recorded({"kind": "train", "loss": None})
    assert standing.loss == ""


def test_of_several_losses_the_main_learners_is_shown_under_its_name() -> None:
    standing = Watched()
    standing.recorded({"kind": "train", "critic/value": 1.0, "critic/loss": 0.5, "actor/loss": -3.0})
    assert "critic loss 0.5" in standing.facts()


def test_a_loss_that_is_not_known_is_not_shown(tmp_path: Path) -> None:
    standing = Watched()
    standing.recorded({"kind": "train", "gradient_norm": 1.0})
    assert standing.facts() == ["0 of 0 steps", "0 updates"]


def test_a_stop_is_shown_at_once(tmp_path: Path) -> None:
    run, standing = a_run(tmp_path), Watched()
    standing.started(run)
    run.stop = True
    standing.stepped(at(run, 1, 0))
    assert standing.shown[-1] == "writing a checkpoint"
    assert standing.steps == 1
