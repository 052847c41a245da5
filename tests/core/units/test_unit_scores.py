"""Scores of units, by hand."""

import torch

from plastic.core.units.unit_scores import scores


def test_scores_by_hand() -> None:
    values = torch.tensor([[1.0, 0.0, -4.0], [3.0, 0.0, 0.0]])  # mean sizes 2, 0, 2 over a mean of 4/3
    torch.testing.assert_close(scores(values), torch.tensor([1.5, 0.0, 1.5]))


def test_a_channels_score_is_over_batch_and_pixels() -> None:
    values = torch.zeros(2, 2, 2, 2)
    values[0, 0, 0, 0] = 8.0  # a mean size of 1
    values[:, 1] = 3.0
    torch.testing.assert_close(scores(values), torch.tensor([0.5, 1.5]))


def test_both_halves_of_a_crelu_are_one_unit() -> None:
    values = torch.tensor([[4.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]])  # unit 0 swings, unit 1 never moves
    torch.testing.assert_close(scores(values, mirrored=True), torch.tensor([2.0, 0.0]))
