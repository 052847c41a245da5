"""Parts of a selection that select nothing."""

from typing import Any

import pytest
from attrs import evolve

from plastic.core.errors import UsageError
from plastic.core.recipes.assemble import Assembly, assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from tests.core.games import TINY, registry

WALK = Recipe(env="walk", steps=100, settings=TINY)
TORQUE = Recipe(agent="sac", env="Torque-v0", steps=100, settings={"hidden": 8, "replay_capacity": 100})


def assembled(recipe: Recipe, name: str, **options: Any) -> Assembly:
    return assemble(evolve(recipe, plugins=(Chosen(name, options),)), registry())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("reset", {"layers": "encoder+nope"}),
        ("layer_norm", {"layers": "nope+encoder"}),
        ("l2", {"layers": "encoder+nope"}),
        ("muon", {"layers": "encoder+nope"}),
        ("l2_init", {"layers": "encoder+nope"}),
        ("clip_gradients", {"layers": "head+nope"}),
        ("spectral_norm", {"layers": "head+nope"}),
        ("sam", {"scope": "encoder+nope"}),
    ],
)
def test_every_part_must_be_in_the_network(name: str, options: dict[str, str]) -> None:
    (option, pattern) = next(iter(options.items()))
    with pytest.raises(UsageError) as caught:
        assembled(WALK, name, **options)
    assert str(caught.value) == (
        f"{name}: no parameters match 'nope' of {option}={pattern}; the network has encoder, head"
    )


@pytest.mark.parametrize(
    ("pattern", "end"),
    [
        ("encoder+haed", "'haed' of layers=encoder+haed; did you mean 'head'?"),
        ("not-encodre", "'not-encodre' of layers=not-encodre; did you mean 'not-encoder'?"),
        ("head+not-head.vale", "'not-head.vale' of layers=head+not-head.vale; did you mean 'not-head.value'?"),
    ],
)
def test_the_nearest_is_suggested(pattern: str, end: str) -> None:
    with pytest.raises(UsageError) as caught:
        assembled(WALK, "reset", layers=pattern)
    assert str(caught.value).endswith(end)


@pytest.mark.parametrize("pattern", ["encoder+head.*.2", "backbone+head", "whole", "not-trunk", "not-head+head.value"])
def test_what_there_is_and_what_a_network_may_go_without_is_accepted(pattern: str) -> None:
    assembled(WALK, "reset", layers=pattern)


def test_a_part_that_one_of_several_networks_has_is_enough() -> None:
    assert assembled(TORQUE, "reset", layers="head+log_*").plugins[0].on == "critic+actor+temperature"
    with pytest.raises(UsageError, match=r"^reset: no parameters match 'nope' of layers=head\+nope; the network has"):
        assembled(TORQUE, "reset", layers="head+nope")
