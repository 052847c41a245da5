"""How many runs a machine takes at a time; what a GPU has is made up."""

import pytest
import torch

from plastic.cli.at_once import Room, at_once, room

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
