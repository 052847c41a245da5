"""A recipe as it is typed: a file, and what is said on the command line beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import evolve
from cyclopts import Parameter

from plastic.core.errors import UsageError
from plastic.core.recipes import option_text, recipe
from plastic.core.recipes.recipe import Chosen, Recipe

SEVERAL = Parameter(consume_multiple=(1, 1000), negative=())
FLAG = Parameter(negative=())


def typed_recipe(
    agent: str | None,
    env: str | None,
    preset: str | None,
    plugin: Sequence[str] | None,
    set_: Sequence[str] | None,
    *,
    seed: int | None,
    steps: int | None,
    device: str | None,
    config: Path | None,
) -> Recipe:
    """The recipe in `config`, or the default one, with what was said put over it.

    Raises:
        UsageError: If it cannot be read, or the two do not go together.
    """
    base = Recipe() if config is None else recipe.read(config)
    if preset not in (None, "none") and base.preset == "none" and base.settings:
        raise UsageError(f"{config} says every setting itself; leave --preset out, or take its [settings] out")
    said: dict[str, Any] = {
        "agent": agent,
        "env": env,
        "preset": preset,
        "seed": seed,
        "steps": steps,
        "device": device,
    }
    settings: dict[str, Any] = {}
    for text in set_ or ():
        settings |= option_text.parse(text, "--set")
    return evolve(
        base,
        **{name: value for name, value in said.items() if value is not None},
        settings={**base.settings, **settings},
        plugins=_together(base.plugins, [Chosen.parse(text) for text in plugin or ()]),
    )


def _together(file: Sequence[Chosen], said: Sequence[Chosen]) -> tuple[Chosen, ...]:
    from plastic.core.recipes.presets import merged

    return tuple(merged(file, said))
