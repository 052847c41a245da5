"""Taking up what a checkpoint holds."""

import pytest
import torch
from attrs import evolve
from torch import nn

from plastic.core.errors import UsageError
from plastic.core.recipes.assemble import Assembly, assemble
from plastic.core.recipes.recipe import Recipe
from plastic.core.runs.restoring import fitting, load_learners
from tests.core.games import TINY, registry
from tests.core.stubs import exact

WALK = Recipe(env="walk", steps=30, settings=TINY)


def assembled(recipe: Recipe) -> Assembly:
    return assemble(recipe, registry())


def test_learners_become_those_of_the_state() -> None:
    one, other = assembled(WALK), assembled(evolve(WALK, seed=1))
    state = {name: learner.state_dict() for name, learner in one.agent.learners.items()}
    theirs = {name: learner.state_dict() for name, learner in other.agent.learners.items()}
    assert exact(theirs) != exact(state)
    load_learners(other.agent, {"learners": state})
    assert exact({name: learner.state_dict() for name, learner in other.agent.learners.items()}) == exact(state)


def test_a_state_of_other_learners_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^the checkpoint is of an agent that learns critic, actor$"):
        load_learners(assembled(WALK).agent, {"learners": {"critic": {}, "actor": {}}})


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))


class Vector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))


@pytest.mark.parametrize(
    ("here", "there", "words"),
    [
        (nn.Linear(2, 3), nn.Linear(4, 3), "weight is 3 x 4 in it and 3 x 2 by the recipe"),
        (nn.Linear(2, 3), nn.Linear(2, 4), "weight is 4 x 2 in it and 3 x 2 by the recipe"),
        (nn.Linear(2, 3), nn.Linear(2, 3, bias=False), "it lacks bias"),
        (nn.Linear(2, 3, bias=False), nn.Linear(2, 3), "it has bias, which the recipe does not make"),
        (Vector(), Scaled(), "scale is a single number in it and 2 by the recipe"),
        (nn.Sequential(*[nn.Linear(2, 2)] * 50), nn.Linear(2, 2), "it lacks 0.weight"),
    ],
)
def test_what_torch_says_of_other_networks_becomes_words(here: nn.Module, there: nn.Module, words: str) -> None:
    with pytest.raises(UsageError) as caught, fitting():
        here.load_state_dict(there.state_dict())
    assert str(caught.value) == f"the checkpoint does not fit recipe.toml beside it: {words}; restore that"


def test_what_else_is_said_is_not_cut_within_a_word() -> None:
    with pytest.raises(UsageError) as caught, fitting():
        raise RuntimeError("a\nlong " + "story " * 50)
    assert str(caught.value).endswith("story story ...; restore that")
    with pytest.raises(UsageError, match=r"beside it: it lacks 'moments'; restore that$"), fitting():
        raise KeyError("moments")


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(TypeError), fitting():
        raise TypeError
