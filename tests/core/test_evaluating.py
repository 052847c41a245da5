"""Evaluation mode for a while."""

import pytest
from torch import nn

from plastic.core.evaluating import evaluating
from tests.core.stubs import Net


def modes(*models: nn.Module) -> list[bool]:
    return [module.training for model in models for module in model.modules()]


def test_each_module_gets_back_the_mode_it_was_in() -> None:
    one, other = Net(), Net().eval()
    one.encoder[0].eval()
    other.head.train()
    before = modes(one, other)
    assert len(set(before)) == 2
    with evaluating(one, other):
        assert not any(modes(one, other))
        with evaluating(one):
            pass
        assert not any(modes(one, other))
    assert modes(one, other) == before


def test_after_an_error_too() -> None:
    model = Net()
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    assert all(modes(model))


def test_a_model_given_twice_is_restored() -> None:
    model = Net()
    with evaluating(model, model, model.head):
        assert not any(modes(model))
    assert all(modes(model))
