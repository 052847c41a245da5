"""How many runs a machine takes at a time; what a GPU has is made up."""

from typing import Any

import pytest
import torch
from attrs import evolve

from plastic.cli import seeds
from plastic.cli.at_once import Room, at_once, room
from plastic.core.errors import UsageError
from plastic.core.recipes.recipe import Recipe

GB = 10**9
RAINBOW = 820_000_000  # bytes of a run on Atari: its replay, and networks


@pytest.mark.parametrize(("cores", "threads", "runs"), [(2, 1, 2), (16, 1, 16), (64, 4, 16), (3, 2, 1), (1, 4, 1)])
def test_on_a_cpu_the_cores_decide(cores: int, threads: int, runs: int) -> None:
    assert at_once(cores, threads) == runs


@pytest.mark.parametrize(
    ("cores", "free", "runs"),
    [
        (16, 140 * GB, 16),  # an H200 with 16 cores
        (10, 140 * GB, 10),  # the cores
        (128, 140 * GB, 16),  # no more than are of use
        (128, 24 * GB, 10),  # the memory
        (128, 8 * GB, 3),
        (128, 1 * GB, 1),  # that one says itself that there is not enough
    ],
)
def test_on_a_gpu_all_share_it_as_far_as_cores_and_memory_go(cores: int, free: int, runs: int) -> None:
    assert at_once(cores, 1, Room(free, RAINBOW)) == runs


def test_a_larger_replay_leaves_room_for_fewer() -> None:
    assert at_once(16, 1, Room(24 * GB, 7 * GB)) == 2


def test_a_gpu_is_asked_once_the_process_has_given_back_what_it_held(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: said.append("given back"))

    def free(device: torch.device) -> tuple[int, int]:
        said.append(f"{device} asked")
        return 5 * GB, 80 * GB

    monkeypatch.setattr(torch.cuda, "mem_get_info", free)
    assert room(torch.device("cuda:1"), RAINBOW) == Room(5 * GB, RAINBOW)
    assert said == ["given back", "cuda:1 asked"]
    assert room(torch.device("cpu"), 0) is None


def test_what_an_assembled_run_takes_is_measured_before_it_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Recipe(env="CartPole-v1", settings={"hidden": 16, "replay_capacity": 1_000, "threads": 1})
    seen: list[Any] = []
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    monkeypatch.setattr("plastic.cli.at_once.cores", lambda: 12)
    monkeypatch.setattr("plastic.cli.at_once.allocated", lambda device: RAINBOW)

    def asked(device: torch.device, run: int) -> Room:
        seen.append((device, run))
        return Room(24 * GB, run)

    monkeypatch.setattr("plastic.cli.at_once.room", asked)
    assert seeds._fitting(wanted) == ("CartPole-v1", 10)
    assert seen == [(torch.device("cpu"), RAINBOW)]
    assert seeds._fitting(evolve(wanted, settings={**wanted.settings, "threads": 3})) == ("CartPole-v1", 4)


def test_a_gpu_is_asked_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context of this one's own would take some of its memory for as long as the runs last."""

    def refuse(*_: Any) -> None:
        raise AssertionError("this process assembled it")

    monkeypatch.setattr("plastic.core.recipes.assemble.assemble", refuse)
    with pytest.raises(UsageError, match=r"there is no cuda:99|no CUDA device is available here"):
        seeds._fitting(Recipe(env="CartPole-v1", device="cuda:99"))


@pytest.mark.cuda
def test_a_gpu_gives_room_for_several() -> None:
    wanted = Recipe(env="CartPole-v1", settings={"hidden": 16, "replay_capacity": 1_000, "threads": 1}, device="cuda")
    env, runs = seeds._fitting(wanted)
    assert env == "CartPole-v1"
    assert 1 <= runs <= 16
