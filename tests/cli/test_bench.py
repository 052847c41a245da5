"""`plastic bench`."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

SMALL = (
    *("bench", "--env", "CartPole-v1", "--seconds", "0.2", "--steps", "231"),
    *("--set", "hidden=16", "learning_starts=32", "batch_size=8", "replay_capacity=1000"),
)
RESET = "reset:when={every = 10, of = 'updates'}"


def test_it_says_what_updates_moments_and_the_run_cost(plastic: "Plastic") -> None:
    done = plastic(*SMALL, "--plugin", "sam", "--plugin", RESET, "--each")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "agent   rainbow (classic) on CartPole-v1"
    for first in ("bare ", "sam ", "reset ", "sam + reset ", "reset, every 10 updates ", "losses and gradients "):
        assert any(line.startswith(first) for line in lines), first
    assert "the run     231 agent steps, 200 updates" in lines
    (moments,) = (line for line in lines if line.startswith("reset, every 10 updates"))
    assert moments.split()[-2] == "20"
    assert lines[-1].endswith(" hours of this machine")


def test_the_numbers_and_the_picture_go_into_files(plastic: "Plastic") -> None:
    done = plastic(*SMALL, "--plugin", RESET, "--json", "costs.json", "--chart", "costs.svg")
    assert done.code == 0
    assert "The numbers lie in costs.json" in done.out
    written = json.loads((plastic.folder / "costs.json").read_text())
    assert [row["name"] for row in written["rows"]] == ["bare", "reset"]
    assert written["updates"] == 200
    assert written["rows"][1]["moments"][0]["times"] == 20
    assert 'env = "CartPole-v1"' in written["recipe"]
    assert written["machine"]["threads"] == 1
    assert (plastic.folder / "costs.svg").read_text().startswith("<?xml")


def test_what_nobody_knows_is_said(plastic: "Plastic") -> None:
    done = plastic(*SMALL, "--plugin", "reset:when={every = 2, of = 'episodes'}")
    assert done.out.count("not known") == 4
    assert "updates     not known: a schedule counts episodes" in done.out


def test_wrong_use_is_said_before_anything_is_timed(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plastic.bench.costs.take_turns", lambda *_: pytest.fail("it was timed"))
    assert "costs.txt names no picture" in plastic(*SMALL, "--chart", "costs.txt").error
    assert "seconds must be more than 0" in plastic("bench", "--seconds", "0").error
    assert "no plugin 'samm'" in plastic(*SMALL, "--plugin", "samm").error
    for option, name in (("--json", "costs.json"), ("--chart", "costs.svg")):
        done = plastic(*SMALL, option, f"nowhere/{name}")
        assert done.code == 2
        assert done.error == f"cannot write nowhere/{name}: No such file or directory"
    assert "cannot write .: Is a directory" in plastic(*SMALL, "--json", ".").error
    assert not list(plastic.folder.iterdir())
