"""The learning curve."""

import errno
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from plastic.core.errors import RunError
from plastic.core.runs.run_folder import Lines, RunFolder, dumps
from plastic.report.curve import Curve, draw, running_mean


def folder_with(path: Path, records: Sequence[dict[str, Any]]) -> RunFolder:
    folder = RunFolder(path)
    for record in records:
        Lines(folder.metrics).append(dumps(record))
    return folder


def game(steps: int, score: float | None) -> dict[str, Any]:
    return {"kind": "episode", "agent_steps": steps, "score": score, "length": 3}


RECORDS = [
    game(5, 1.0),
    {"kind": "train", "agent_steps": 10, "loss": 0.5, "gradient_norm": 2.0},
    game(12, 3.0),
    {"kind": "evaluation", "agent_steps": 15, "score": 4.0, "scores": [4.0]},
    {"kind": "train", "agent_steps": 20, "loss": None},
    {"kind": "probe", "agent_steps": 20, "active_units/total": 0.4},
    {"kind": "evaluation", "agent_steps": 25, "score": 6.0, "scores": [6.0]},
    {"kind": "train", "agent_steps": 30, "loss": 0.25},
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved, saving as they do."""
    figures: list[Figure] = []
    save = Figure.savefig

    def saving(self: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(self)
        save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", saving)
    return figures


def points(figure: Figure, axes: int, label: str) -> list[list[float]]:
    (line,) = (line for line in figure.axes[axes].get_lines() if line.get_label() == label)
    drawn: list[list[float]] = np.asarray(line.get_xydata()).tolist()
    return drawn


def test_it_shows_games_their_mean_evaluations_and_the_loss(tmp_path: Path, drawn: list[Figure]) -> None:
    folder = folder_with(tmp_path, RECORDS)
    assert draw(folder, "My/Walk-v0") == folder.curve
    assert folder.curve.read_bytes().startswith(b"\x89PNG")
    (figure,) = drawn
    assert points(figure, 0, "training games") == [[5, 1.0], [12, 3.0]]
    assert points(figure, 0, "mean of the last 20") == [[5, 1.0], [12, 2.0]]
    evaluations = [line for line in figure.axes[0].get_lines() if line.get_marker() == "D"]
    assert [np.asarray(line.get_xydata()).tolist() for line in evaluations] == [[[15, 4.0]], [[25, 6.0]]]
    assert points(figure, 1, "loss") == [[10, 0.5], [30, 0.25]]
    assert figure.axes[0].get_title("left") == "My/Walk-v0"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["training games", "mean of the last 20", "evaluation"]


def test_each_learner_has_a_line_of_its_loss(tmp_path: Path, drawn: list[Figure]) -> None:
    records = [game(1, 0.0), {"kind": "train", "agent_steps": 2, "critic/loss": 1.0, "actor/loss": 2.0}]
    draw(folder_with(tmp_path, records), "x")
    assert points(drawn[0], 1, "critic/loss") == [[2, 1.0]]
    assert points(drawn[0], 1, "actor/loss") == [[2, 2.0]]
    legend = drawn[0].axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["actor/loss", "critic/loss"]


@pytest.mark.parametrize("records", [[], [record for record in RECORDS if record["kind"] != "episode"]])
def test_before_the_first_game_there_is_nothing_to_draw(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    folder = folder_with(tmp_path, [{"kind": "train", "agent_steps": 1}, *records])
    assert draw(folder, "x") is None
    assert not folder.curve.exists()


def test_scores_that_are_not_finite_are_left_out(tmp_path: Path, drawn: list[Figure]) -> None:
    unknown = {"kind": "evaluation", "agent_steps": 7, "score": float("nan"), "scores": [float("nan")]}
    folder = folder_with(tmp_path, [game(3, float("inf")), unknown, *RECORDS, game(28, float("nan"))])
    assert draw(folder, "x") == folder.curve
    assert points(drawn[0], 0, "training games") == [[5, 1.0], [12, 3.0]]
    assert points(drawn[0], 0, "mean of the last 20") == [[5, 1.0], [12, 2.0]]
    assert [line.get_marker() for line in drawn[0].axes[0].get_lines()].count("D") == 2


def test_games_without_a_finite_score_are_no_curve(tmp_path: Path) -> None:
    assert draw(folder_with(tmp_path, [game(3, float("nan"))]), "x") is None


def test_it_is_drawn_when_the_run_ends_and_when_it_is_stopped(tmp_path: Path) -> None:
    for name, end in (("one", lambda run: Curve().finished(run, None)), ("two", Curve().stopped)):  # type: ignore[arg-type]
        (tmp_path / name).mkdir()
        run: Any = SimpleNamespace(folder=RunFolder(tmp_path / name), recipe=SimpleNamespace(env="x"))
        end(run)  # nothing was written yet
        assert not run.folder.curve.exists()
        folder_with(tmp_path / name, RECORDS)
        end(run)
        assert run.folder.curve.exists()


def test_a_full_disk_is_the_error_of_a_finished_run_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Figure, *arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    run: Any = SimpleNamespace(folder=folder_with(tmp_path, RECORDS), recipe=SimpleNamespace(env="x"))
    with pytest.raises(RunError, match=r"cannot write .*curve\.png: No space left on device"):
        Curve().finished(run, None)  # type: ignore[arg-type]
    Curve().stopped(run)


@given(st.lists(st.integers(-100, 100), max_size=30), st.integers(1, 8))
def test_the_running_mean(values: list[int], window: int) -> None:
    means = running_mean([float(value) for value in values], window)
    assert len(means) == len(values)
    for place, mean in enumerate(means):
        last = values[max(0, place + 1 - window) : place + 1]
        assert mean == pytest.approx(sum(last) / len(last))
