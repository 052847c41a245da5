"""What is decided of several runs before the first begins; what a GPU has is made up."""

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from rich.console import Console

from plastic.cli.at_once import Room
from plastic.cli.several import Wanted, several
from plastic.core.errors import UsageError
from plastic.core.recipes.recipe import Chosen, Recipe

GB = 10**9
RAINBOW = 820_000_000  # bytes of a run on Atari: its replay, and networks


def at_once(recipe: Recipe) -> int:
    """Of more runs than any machine takes."""
    return several(Wanted(recipe, "0-999", 1_000)).at_once


def test_what_an_assembled_run_takes_is_measured_before_it_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Recipe(env="CartPole-v1", settings={"hidden": 16, "replay_capacity": 1_000, "threads": 1})
    seen: list[Any] = []
    monkeypatch.setattr("plastic.cli.at_once.cores", lambda: 12)
    monkeypatch.setattr("plastic.cli.at_once.allocated", lambda device: RAINBOW)

    def asked(device: torch.device, run: int) -> Room:
        seen.append((device, run))
        return Room(24 * GB, run)

    monkeypatch.setattr("plastic.cli.at_once.room", asked)
    assert at_once(wanted) == 10
    assert seen == [(torch.device("cpu"), RAINBOW)]
    assert at_once(evolve(wanted, settings={**wanted.settings, "threads": 3})) == 4


def test_a_gpu_is_asked_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context of this one's own would take some of its memory for as long as the runs last."""

    def refuse(*_: Any) -> None:
        raise AssertionError("this process assembled it")

    monkeypatch.setattr("plastic.core.recipes.assemble.assemble", refuse)
    with pytest.raises(UsageError, match=r"there is no cuda:99|no CUDA device is available here"):
        at_once(Recipe(env="CartPole-v1", device="cuda:99"))


@pytest.mark.cuda
def test_a_gpu_gives_room_for_several() -> None:
    wanted = Recipe(env="CartPole-v1", settings={"hidden": 16, "replay_capacity": 1_000, "threads": 1}, device="cuda")
    assert 1 <= at_once(wanted) <= 16


def test_the_plan_of_several_goes_from_process_to_process() -> None:
    recipe = Recipe(env="CartPole-v1", plugins=(Chosen("sam"),), settings={"hidden": 16, "replay_capacity": 1_000})
    decided = several(Wanted(recipe, "0-2,7", 4, together=3, out=Path("runs/mine"), logs=("wandb",)))
    assert (decided.folder, decided.at_once) == (Path("runs/mine"), 3)
    console = Console(file=io.StringIO(), width=200)
    console.print(pickle.loads(pickle.dumps(decided)).plan)
    assert isinstance(console.file, io.StringIO)
    plan = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert {"seeds        0-2,7: 4 runs, 3 at a time", "folder       runs/mine", "log          wandb"} <= set(plan)
    assert any(line.startswith("sam ") for line in plan)


def test_a_folder_is_made_last_and_only_if_it_shall_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = Wanted(Recipe(env="CartPole-v1", settings={"replay_capacity": 1_000}), "0-1", 2, make=True)
    with pytest.raises(UsageError, match="no plugin"):
        several(evolve(wanted, recipe=evolve(wanted.recipe, plugins=(Chosen("nobody"),))))
    assert several(evolve(wanted, make=False)).folder is None
    assert list(tmp_path.iterdir()) == []
    assert several(wanted).folder == Path("runs/rainbow-CartPole-v1-seeds-1")
    assert (tmp_path / "runs" / "rainbow-CartPole-v1-seeds-1").is_dir()
