"""The newest checkpoint, beside a run that writes a newer one and deletes it."""

from pathlib import Path
from typing import Any

import pytest

from plastic.core.errors import UsageError
from plastic.core.runs import checkpoint
from plastic.core.runs.newest import newest
from plastic.core.runs.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", "x")


def test_the_newest_is_read(folder: RunFolder) -> None:
    assert newest(folder) is None
    for steps in (10, 9_999, 100):
        checkpoint.write(folder.checkpoint(steps), {"steps": steps}, {})
    assert newest(folder) == {"steps": 9_999}


@pytest.mark.parametrize("looked", [False, True])  # gone before it is opened, or between its first line and its state
def test_if_it_is_gone_the_one_after_it_is_read(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, looked: bool
) -> None:
    checkpoint.write(folder.checkpoint(10), {"steps": 10}, {})
    about = checkpoint.about

    def rotated(path: Path) -> dict[str, Any]:
        found = about(path) if looked else {}
        if path == folder.checkpoint(10):
            checkpoint.write(folder.checkpoint(20), {"steps": 20}, {})
            path.unlink()
        return found or about(path)

    monkeypatch.setattr(checkpoint, "about", rotated)
    assert newest(folder) == {"steps": 20}


def test_one_that_is_there_and_cannot_be_read_is_refused(folder: RunFolder) -> None:
    checkpoint.write(folder.checkpoint(10), {"steps": 10}, {})
    folder.checkpoint(20).write_bytes(b"PK")
    with pytest.raises(UsageError, match="is no checkpoint of plastic"):
        newest(folder)
    folder.checkpoint(20).unlink()
    folder.checkpoint(20).symlink_to("nowhere")
    with pytest.raises(UsageError, match="No such file or directory"):
        newest(folder)
