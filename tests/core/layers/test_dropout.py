"""Dropout that drops in updates alone."""

import pytest
import torch

from plastic.core.layers import Dropout
from plastic.core.layers.dropout import masks

X = torch.full((400, 50), 3.0)


def test_outside_an_update_nothing_is_dropped() -> None:
    layer = Dropout(0.5)
    assert layer.training
    assert torch.equal(layer(X), X)
    with pytest.raises(KeyError), masks(lambda: 0):
        raise KeyError
    assert torch.equal(layer(X), X)


def test_inside_entries_vanish_or_are_scaled_and_the_mean_stays() -> None:
    with masks(lambda: 5):
        y = Dropout(0.2)(X)
        assert torch.equal(Dropout(0.2).eval()(X), X)
    assert set(y.unique().tolist()) == {0.0, 3.75}
    assert (y == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert y.mean().item() == pytest.approx(3.0, abs=0.05)


def test_the_stream_is_begun_once_for_all_layers_and_only_if_one_draws() -> None:
    asked: list[int] = []

    def seed() -> int:
        asked.append(1)
        return 7

    layers = Dropout(0.5), Dropout(0.5)
    with masks(seed):
        assert not asked
        one, other = (layer(X) for layer in layers)
    assert not torch.equal(one, other)
    assert asked == [1]
    with masks(seed):
        assert torch.equal(layers[1](X), one)
