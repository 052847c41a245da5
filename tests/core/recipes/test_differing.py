"""What differs between two recipes."""

from typing import Any

import pytest
from attrs import evolve

from plastic.core.recipes.differing import Difference, difference
from plastic.core.recipes.recipe import Chosen, Recipe

THEN = Recipe(
    env="CartPole-v1",
    preset="none",
    settings={"batch_size": 32, "discount": 0.99, "evaluate_every": "none"},
    plugins=(Chosen("sam", {"rho": 0.1}, "critic"), Chosen("reset", {"when": {"every": 40}})),
)


def chosen(*plugins: Chosen) -> Recipe:
    return evolve(THEN, plugins=plugins)


def settings(**changed: Any) -> Recipe:
    return evolve(THEN, settings={**THEN.settings, **changed})


def test_a_recipe_is_like_itself_at_any_number_of_steps() -> None:
    assert difference(THEN, THEN) is None
    assert difference(evolve(THEN, steps=7), THEN) is None


@pytest.mark.parametrize(
    ("now", "name", "values", "line"),
    [
        (evolve(THEN, agent="sac"), "agent", ('"sac"', '"rainbow"'), 'agent = "rainbow"'),
        (evolve(THEN, seed=3), "seed", ("3", "0"), "seed = 0"),
        (evolve(THEN, device="cuda"), "device", ('"cuda"', '"cpu"'), 'device = "cpu"'),
        (settings(discount=0.9), "discount", ("0.9", "0.99"), "discount = 0.99"),
        (settings(evaluate_every=5), "evaluate_every", ("5", '"none"'), 'evaluate_every = "none"'),
        (settings(discount=0.9, batch_size=1), "batch_size", ("1", "32"), "batch_size = 32"),
        (
            chosen(evolve(THEN.plugins[0], options={"rho": 0.2}), THEN.plugins[1]),
            "rho of sam",
            ("0.2", "0.1"),
            "rho = 0.1",
        ),
        (
            chosen(evolve(THEN.plugins[0], on="actor"), THEN.plugins[1]),
            "on of sam",
            ('"actor"', '"critic"'),
            'on = "critic"',
        ),
        (
            chosen(THEN.plugins[0], Chosen("reset", {"when": {"every": 7}})),
            "when of reset",
            ("{every = 7}", "{every = 40}"),
            "when = {every = 40}",
        ),
        (
            chosen(*THEN.plugins[::-1]),
            "the list of plugins",
            ('["reset", "sam"]', '["sam", "reset"]'),
            '[[plugins]] for ["sam", "reset"]',
        ),
        (chosen(), "the list of plugins", ("[]", '["sam", "reset"]'), '[[plugins]] for ["sam", "reset"]'),
    ],
)
def test_the_first_value_that_differs_is_told(now: Recipe, name: str, values: tuple[str, str], line: str) -> None:
    assert difference(now, THEN) == Difference(name, *values, line)


def test_a_setting_of_a_later_version_is_no_difference() -> None:
    assert difference(settings(invented_since=3), THEN) is None
    assert difference(THEN, settings(invented_since=3)) is not None
