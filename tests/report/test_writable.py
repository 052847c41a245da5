"""Files that are tried before there is anything to write."""

from pathlib import Path

import pytest

from plastic.core.errors import UsageError
from plastic.report.writable import refuse_unwritable


def test_a_file_that_can_be_written_stays_as_it_is(tmp_path: Path) -> None:
    there = tmp_path / "there.json"
    there.write_text("kept")
    refuse_unwritable(there)
    assert there.read_text() == "kept"
    refuse_unwritable(tmp_path / "new.json")
    assert [path.name for path in tmp_path.iterdir()] == ["there.json"]
    refuse_unwritable(Path("/dev/null"))


@pytest.mark.parametrize(("name", "why"), [("no/new.json", "No such file or directory"), ("", "Is a directory")])
def test_one_that_cannot_is_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"^cannot write {tmp_path / name}: {why}$"):
        refuse_unwritable(tmp_path / name)
