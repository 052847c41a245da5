"""Rows that may be drawn, against a Python set of them."""

import math

import numpy as np
import torch

from plastic.agents.replay.drawable import Drawable

CAPACITY = 80


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawable(*rows: int) -> Drawable:
    made = Drawable(CAPACITY, torch.device("cpu"))
    for row in rows:
        made.admit(row)
    made.tell()
    return made


def listed(made: Drawable) -> list[int]:
    rows: list[int] = made.rows.tensor[: len(made)].tolist()
    return rows


def test_the_last_of_the_list_takes_the_place_of_what_is_withdrawn() -> None:
    made = drawable(7, 3, 9, 5)
    assert made.withdraw(3)
    assert listed(made) == [7, 5, 9]
    assert made.withdraw(9)
    assert listed(made) == [7, 5]
    assert not made.withdraw(9)
    assert not made.withdraw(0)
    made.admit(3)
    assert listed(made) == [7, 5, 3]


def test_after_many_changes_each_row_is_as_likely_as_another_and_no_other_is_drawn() -> None:
    made, rows, changes = drawable(), set[int](), np.random.default_rng(4)
    for row in changes.integers(CAPACITY, size=3001).tolist():
        if row in rows:
            assert made.withdraw(row)
        else:
            assert not made.withdraw(row)
            made.admit(row)
        rows ^= {row}
        assert len(made) == len(rows)
    made.tell()
    assert sorted(listed(made)) == sorted(rows)
    index = made.draw(400 * len(rows), stream(2))
    counts = index.bincount(minlength=CAPACITY)
    assert counts.nonzero().flatten().tolist() == sorted(rows)
    # Pearson's statistic of as many equal cells is chi-square distributed: k - 1 and as much as 2 (k - 1) variance.
    freedom = len(rows) - 1
    chi_square = ((counts[sorted(rows)] - 400) ** 2 / 400).sum().item()
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)


def test_the_device_knows_the_count_as_of_the_last_tell() -> None:
    made = drawable(4)
    place = made.count.data_ptr()
    made.admit(6)
    assert set(made.draw(100, stream()).tolist()) == {4}
    made.tell()
    assert set(made.draw(100, stream()).tolist()) == {4, 6}
    assert made.count.data_ptr() == place


def test_a_list_is_taken_over_in_its_order() -> None:
    made = drawable(1, 2, 3)
    made.load(torch.tensor([9, 2], dtype=torch.int32))
    assert listed(made) == [9, 2]
    assert set(made.draw(100, stream()).tolist()) == {2, 9}
    assert not made.withdraw(1)
    assert made.withdraw(9)
    assert listed(made) == [2]
