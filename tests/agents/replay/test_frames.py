"""Stacks of frames, worked by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from plastic.agents.replay.frames import Frames
from plastic.core.errors import UsageError

FIRST, SECOND, THIRD = [3.0, 3.0], [5.0, 5.0], [7.0, 7.0]


def frames(capacity: int = 8, frame_stack: int = 3, **changes: Any) -> Frames:
    options: dict[str, Any] = {
        "capacity": capacity,
        "observation_shape": (2 * frame_stack,),
        "dtype": torch.float32,
        "frame_stack": frame_stack,
        "frame_pad": "zeros",
        "device": torch.device("cpu"),
    }
    return Frames(**{**options, **changes})


def written(kept: Frames, row: int, steps: int) -> None:
    """An episode of so many steps from a row on; each frame holds its row."""
    for step in range(steps):
        place = (row + step) % 8
        kept.write(place, np.full(2, place, np.float32), step)


@pytest.mark.parametrize(("pad", "before"), [("zeros", [0.0, 0.0]), ("first", FIRST)])
def test_before_an_episode_stands_the_padding(pad: str, before: list[float]) -> None:
    kept = frames(frame_pad=pad)
    for step, frame in enumerate((FIRST, SECOND, THIRD)):
        kept.write(4 + step, np.array(frame), step)
    stacks = kept.stacks(torch.tensor([[4, 5], [5, 6]]))
    assert stacks.tolist() == [
        [before + before + FIRST, before + FIRST + SECOND],
        [before + FIRST + SECOND, FIRST + SECOND + THIRD],
    ]


def test_stacks_go_round_the_ring() -> None:
    kept = frames(8)
    written(kept, 6, 4)
    assert kept.stacks(torch.tensor([0, 1]))[:, ::2].tolist() == [[6, 7, 0], [7, 0, 1]]


def test_the_rows_that_need_a_frame_are_those_of_its_episode_just_ahead() -> None:
    kept = frames(8)
    written(kept, 6, 3)  # rows 6, 7 and 0
    written(kept, 1, 2)  # rows 1 and 2
    assert kept.needing(6) == [6, 7, 0]
    assert kept.needing(7) == [7, 0]
    assert kept.needing(0) == [0]
    assert kept.needing(1) == [1, 2]


def test_one_frame_an_observation_needs_no_padding() -> None:
    kept = frames(frame_stack=1)
    written(kept, 0, 3)
    assert kept.stacks(torch.tensor([2, 0])).tolist() == [[2, 2], [0, 0]]
    assert kept.needing(1) == [1]
    assert kept.first(np.ones(2)).tolist() == [1, 1]


def test_the_newest_frame_is_a_view_of_the_observation() -> None:
    observation = np.arange(6.0)
    newest = frames().newest(observation)
    assert newest.tolist() == [4, 5]
    assert np.shares_memory(newest, observation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observation_shape": (4,)}, "not a stack of 3 frames"),
        ({"observation_shape": ()}, "not a stack"),
        ({"frame_pad": "last"}, "no frame_pad 'last'; use 'zeros' or 'first'"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        frames(**changes)


@pytest.mark.parametrize(
    ("changes", "observation", "message"),
    [
        ({}, np.ones(6), "zeros before its newest frame"),
        ({"frame_pad": "first"}, np.array([0.0, 0, 0, 0, 1, 1]), "newest frame repeated"),
        ({}, np.zeros(8), r"shape \(6,\), got \(8,\)"),
        ({"dtype": torch.uint8}, np.zeros(6), "keeps torch.uint8, which would cut float64 .* whole numbers"),
    ],
)
def test_observations_that_are_not_as_declared_are_refused(
    changes: dict[str, Any], observation: NDArray[Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as info:
        frames(**changes).first(observation)
    assert "\n" not in str(info.value)
