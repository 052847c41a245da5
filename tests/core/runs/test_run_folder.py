"""The folder of a run: what lies where, and how it is written."""

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from plastic.core.errors import RunError, UsageError
from plastic.core.runs.run_folder import Lines, RunFolder, dumps, read_metrics, read_timing


def full(*arguments: Any, **options: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_next_free_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = [RunFolder.create(None, "rainbow-Pong-s0").path for _ in range(2)]
    (tmp_path / "runs" / "rainbow-Pong-s0-3").write_text("a file is not free either")
    made.append(RunFolder.create(None, "rainbow-Pong-s0").path)
    assert [str(path) for path in made] == [f"runs/rainbow-Pong-s0-{number}" for number in (1, 2, 4)]
    assert (made[0] / "checkpoints").is_dir()


def test_a_folder_that_is_new_or_empty_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "a" / "b"):
        assert RunFolder.create(path, "x").path == path
        assert (path / "checkpoints").is_dir()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes").touch()
    (tmp_path / "file").touch()
    for path in (tmp_path / "used", tmp_path / "file"):
        with pytest.raises(UsageError) as caught:
            RunFolder.create(path, "x")
        assert str(caught.value) == (
            f"{path} exists already; resume it with `plastic resume {path}`, or choose another --out"
        )


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(UsageError, match=r"cannot make the run's folder .*: Not a directory"):
        RunFolder.create(tmp_path / "runs" / "mine", "x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"cannot make the run's folder runs: File exists"):
        RunFolder.create(None, "x")
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UsageError, match=r"cannot make the run's folder .*mine: No space left on device"):
        RunFolder.create(tmp_path / "mine", "x")


def test_a_folder_without_a_recipe_is_no_runs(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError) as caught:
            RunFolder.open(path)
        assert str(caught.value) == f"{path} is no run's folder: it holds no recipe.toml"
    (tmp_path / "recipe.toml").touch()
    assert RunFolder.open(tmp_path) == RunFolder(tmp_path)


def test_where_things_lie(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert [path.name for path in (folder.recipe, folder.metrics, folder.timing, folder.result, folder.curve)] == [
        "recipe.toml",
        "metrics.jsonl",
        "timing.csv",
        "result.json",
        "curve.png",
    ]


def test_checkpoints_are_listed_oldest_first_and_unfinished_ones_apart(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", "x")
    for steps in (20_000, 5, 100_000, 9_999):
        folder.checkpoint(steps).touch()
    unfinished = folder.checkpoint(7).with_name(".0000000007.ckpt.partial")
    unfinished.touch()
    assert [int(path.stem) for path in folder.checkpoints()] == [5, 9_999, 20_000, 100_000]
    assert folder.unfinished() == [unfinished]


def test_files_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    folder.write_text(folder.recipe, "seed = 0\n")
    folder.write_json(folder.result, {"mean": math.nan, "scores": (1.0, 2)})
    assert folder.recipe.read_text() == "seed = 0\n"
    assert json.loads(folder.result.read_text()) == {"mean": None, "scores": [1.0, 2]}
    for name in ("replace", "write_text"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, full)
            with pytest.raises(RunError, match=r"cannot write .*recipe\.toml: No space left on device"):
                folder.write_text(folder.recipe, "seed = 1\n")
            with pytest.raises(RunError, match=r"cannot write .*result\.json: No space left on device"):
                folder.write_json(folder.result, {})
        assert folder.recipe.read_text() == "seed = 0\n"
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["recipe.toml", "result.json"]


def test_lines_grow_and_are_cut_back(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "metrics.jsonl")
    assert lines.size() == 0
    lines.sync()
    lines.cut(0)
    assert not lines.path.exists()
    lines.append("einß")
    size = lines.size()
    assert size == len("einß\n".encode())
    lines.append("two")
    lines.sync()
    assert lines.path.read_bytes() == "einß\ntwo\n".encode()
    lines.cut(100)
    assert lines.size() == size + 4
    lines.cut(size)
    lines.append("three")
    assert lines.path.read_bytes() == "einß\nthree\n".encode()


def test_a_line_that_cannot_be_written_is_an_error_to_read(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl: No such file or directory"):
        Lines(tmp_path / "missing" / "metrics.jsonl").append("x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_to_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl: No space left on device"):
        Lines(path).append("x")


def test_lines_that_do_not_reach_the_disk_are_an_error_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines(tmp_path / "metrics.jsonl")
    lines.append("x")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl: No space left on device"):
        lines.sync()


def test_json_is_strict() -> None:
    values = {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": {"d": (math.nan,)}, "e": True, "f": None, "g": 3}
    assert dumps(values) == '{"a": null, "b": [null, null, 1.5], "c": {"d": [null]}, "e": true, "f": null, "g": 3}'


def test_metrics_and_timing_are_read_back(tmp_path: Path) -> None:
    metrics, timing = Lines(tmp_path / "m"), Lines(tmp_path / "t")
    metrics.append(dumps({"kind": "train", "loss": 0.5}))
    metrics.append(dumps({"kind": "episode", "score": math.nan}))
    timing.append("agent_steps,updates,seconds")
    timing.append("10,5,0.123")
    assert read_metrics(metrics.path) == [{"kind": "train", "loss": 0.5}, {"kind": "episode", "score": None}]
    with metrics.path.open("a") as file:
        file.write('{"kind": "tra')
    assert len(read_metrics(metrics.path)) == 2
    assert read_timing(timing.path) == [{"agent_steps": "10", "updates": "5", "seconds": "0.123"}]
