"""Metrics for TensorBoard."""

import builtins
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plastic.core.errors import UsageError
from plastic.core.schedule import Clock
from plastic.report.tensorboard import TensorBoard, scalars

pytest.importorskip("tensorboard")


def run_at(path: Path, steps: int) -> Any:
    clock = Clock()
    clock.advance(agent_steps=steps)
    return SimpleNamespace(clock=clock, folder=SimpleNamespace(path=path))


def read(path: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    events = EventAccumulator(str(path / "tensorboard"))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_numbers_go_by_kind_and_counts_and_lists_are_left_out() -> None:
    record = {
        "kind": "evaluation",
        "updates": 3,
        "agent_steps": 5,
        "frames": 20,
        "episodes": 1,
        "score": 4,
        "normalised": 0.5,
        "scores": [4],
        "note": "text",
        "nothing": None,
    }
    assert scalars(record) == {"evaluation/score": 4.0, "evaluation/normalised": 0.5}
    assert all(type(value) is float for value in scalars(record).values())
    ((name, value),) = scalars({"kind": "probe", "x/y": math.nan}).items()
    assert name == "probe/x/y"
    assert math.isnan(value)


def test_what_is_recorded_can_be_read_over_agent_steps(tmp_path: Path) -> None:
    board = TensorBoard()
    board.started(run_at(tmp_path, 0))
    for steps in (10, 20):
        board.recorded({"kind": "train", "agent_steps": steps, "updates": steps, "loss": steps / 10})
    board.finished(run_at(tmp_path, 20), None)  # type: ignore[arg-type]
    assert read(tmp_path) == {"train/loss": [(10, 1.0), (20, 2.0)]}


def test_after_a_resume_what_lay_beyond_the_checkpoint_is_gone(tmp_path: Path) -> None:
    board = TensorBoard()
    board.started(run_at(tmp_path, 0))
    for steps in (10, 20, 30):
        board.recorded({"kind": "train", "agent_steps": steps, "loss": steps / 10})
    board.stopped(run_at(tmp_path, 30))
    board = TensorBoard()
    board.started(run_at(tmp_path, 20))  # the checkpoint's
    board.recorded({"kind": "train", "agent_steps": 30, "loss": 7.0})
    board.finished(run_at(tmp_path, 30), None)  # type: ignore[arg-type]
    assert read(tmp_path) == {"train/loss": [(10, 1.0), (20, 2.0), (30, 7.0)]}


def test_one_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    TensorBoard().stopped(run_at(tmp_path, 0))


def test_without_tensorboard_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return bare(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError) as caught:
        TensorBoard()
    assert str(caught.value) == "TensorBoard is not installed; run: pip install 'plastic-rl[tensorboard]'"
