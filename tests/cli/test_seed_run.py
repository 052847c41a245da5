"""How one of several runs has ended."""

from pathlib import Path

import pytest

from plastic.cli.seed_run import SeedRun


@pytest.mark.parametrize(
    ("code", "error", "begun", "says"),
    [
        (1, "out of luck", True, "seed 3: out of luck"),
        (1, "out of luck", False, "seed 3: out of luck"),
        (1, "", True, "seed 3: ended with exit code 1"),
        (130, "stopped after 7 steps", True, "seed 3: stopped after 7 steps"),
        (-9, "", True, "seed 3 was killed (signal 9); go on with: plastic resume {folder}"),
        (-9, "", False, "seed 3 was killed (signal 9) before it began; begin it with: so"),
        (None, "", False, "seed 3 has not begun; begin it with: so"),
        (130, "interrupted", False, "seed 3 has not begun; begin it with: so"),
    ],
)
def test_what_is_not_done_says_how_to_go_on(
    tmp_path: Path, code: int | None, error: str, begun: bool, says: str
) -> None:
    run = SeedRun(3, tmp_path, "training: 5 of 9 steps", error, code)
    if begun:
        (tmp_path / "recipe.toml").touch()
    assert not run.done
    assert run.ending("so") == says.format(folder=tmp_path)
