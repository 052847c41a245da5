"""A folder of several seeds where one run's is wanted."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plastic.cli.seeds_folder import refuse_to_evaluate, refuse_to_resume

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic


@pytest.fixture
def several(plastic: "Plastic") -> Path:
    """Runs of three seeds, the second finished, the last before its first checkpoint, as far as folders tell."""
    for seed in (2, 10, 11):
        (Path("my seeds") / f"s{seed}" / "checkpoints").mkdir(parents=True)
        (Path("my seeds") / f"s{seed}" / "recipe.toml").touch()
    for seed in (2, 10):
        (Path("my seeds") / f"s{seed}" / "checkpoints" / "0000000010.ckpt").touch()
    Path("my seeds/s10/result.json").touch()
    Path("my seeds/seeds.toml").touch()
    Path("my seeds/s12").mkdir()
    return Path("my seeds")


def test_resume_names_those_that_have_not_finished(plastic: "Plastic", several: Path) -> None:
    done = plastic("resume", several)
    assert done.code == 2
    assert done.error == "my seeds holds several runs; s2 and s11 can go on: plastic resume 'my seeds/s2'"


def test_resume_of_finished_ones(plastic: "Plastic", several: Path) -> None:
    for seed in (2, 11):
        (several / f"s{seed}" / "result.json").touch()
    done = plastic("resume", several)
    assert done.code == 2
    assert done.error == (
        "my seeds holds several runs, which have all finished; to make one longer: "
        "plastic resume 'my seeds/s2' --steps N"
    )


def test_evaluate_names_those_that_have_learnt_something(plastic: "Plastic", several: Path) -> None:
    done = plastic("evaluate", several)
    assert done.code == 2
    assert done.error == "my seeds holds several runs; s2 and s10 can be evaluated: plastic evaluate 'my seeds/s2'"
    for seed in (2, 10):
        (several / f"s{seed}" / "checkpoints" / "0000000010.ckpt").unlink()
    assert plastic("evaluate", several).error == "my seeds holds several runs, and none has a checkpoint yet"


def test_of_many_the_first_are_named(plastic: "Plastic", several: Path) -> None:
    for seed in range(100, 120):
        (several / f"s{seed}").mkdir()
        (several / f"s{seed}" / "recipe.toml").touch()
    assert "; s2, s11, s100, s101, s102, s103, s104, s105, s106, s107 and 12 more can go on: " in (
        plastic("resume", several).error
    )


def test_a_runs_own_folder_and_any_other_are_let_be(tmp_path: Path) -> None:
    (tmp_path / "runs" / "s1").mkdir(parents=True)
    (tmp_path / "runs" / "s1" / "recipe.toml").touch()
    (tmp_path / "runs" / "recipe.toml").touch()
    for folder in (tmp_path, tmp_path / "runs", tmp_path / "missing", tmp_path / "runs" / "recipe.toml"):
        refuse_to_resume(folder)
        refuse_to_evaluate(folder)
