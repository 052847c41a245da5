"""`plastic evaluate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic


def test_it_plays_the_games_of_the_runs_own_evaluation_again(plastic: "Plastic", finished: Path) -> None:
    low, high = sorted(json.loads((finished / "result.json").read_text())["scores"])
    done = plastic("evaluate", finished)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "rainbow on CartPole-v1 after 150 steps: 2 games\n"
        f"score  {(low + high) / 2:g}, mean of 2 games, from {low:g} to {high:g}\n"
    )


def test_it_plays_as_many_games_as_one_wants(plastic: "Plastic", finished: Path) -> None:
    done = plastic("evaluate", finished, "--episodes", "1")
    assert "after 150 steps: 1 game\n" in done.out
    assert done.out.endswith("mean of 1 game\n")


def test_it_changes_nothing(plastic: "Plastic", finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    assert plastic("evaluate", finished).code == 0
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_a_run_that_was_asked_for_no_evaluation_gets_the_familys_number(plastic: "Plastic") -> None:
    assert plastic.run("--quiet", "--set", "eval_episodes=0", "--out", "mine").code == 0
    assert "mean of 10 games" in plastic("evaluate", "mine").out


def test_a_run_without_a_checkpoint(plastic: "Plastic", finished: Path) -> None:
    for path in (finished / "checkpoints").iterdir():
        path.unlink()
    done = plastic("evaluate", finished)
    assert done.code == 2
    assert done.error == "finished has no checkpoint yet"
