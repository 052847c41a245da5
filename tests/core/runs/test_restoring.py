"""Taking up what a checkpoint holds."""

import pytest
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


def test_what_torch_says_of_other_shapes_becomes_one_sentence() -> None:
    with (
        pytest.raises(UsageError, match=r"^the checkpoint does not fit recipe\.toml .*size mismatch") as caught,
        fitting(),
    ):
        nn.Linear(2, 3).load_state_dict(nn.Linear(3, 3).state_dict())
    assert "\n" not in str(caught.value)


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(TypeError), fitting():
        raise TypeError
