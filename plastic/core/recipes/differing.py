"""What a recipe says otherwise than the one a run was begun with."""

from collections.abc import Iterator, Mapping
from typing import Any

import tomlkit
from attrs import frozen

from plastic.core.recipes.recipe import Chosen, Recipe


@frozen
class Difference:
    """A value that is not what it was.

    Attributes:
        name: As it stands in a recipe; for a plugin's option, with the plugin.
        now: Its value, as TOML.
        then: What it was, as TOML.
        line: What has to stand in the recipe for it to be so again.
    """

    name: str
    now: str
    then: str
    line: str


def difference(now: Recipe, then: Recipe) -> Difference | None:
    """The first value that two resolved recipes do not share, their steps aside; None if they share all.

    What `then` does not say is not looked at: a later version may have settings that its own had not.
    """
    return next(_differences(now, then), None)


def _differences(now: Recipe, then: Recipe) -> Iterator[Difference]:
    for name in ("agent", "env", "preset", "seed", "device"):
        yield from _of_values({name: getattr(now, name)}, {name: getattr(then, name)})
    yield from _of_values(now.settings, then.settings)
    names, were = ([one.name for one in recipe.plugins] for recipe in (now, then))
    if names != were:
        yield Difference("the list of plugins", _written(names), _written(were), f"[[plugins]] for {_written(were)}")
        return
    for one, was in zip(now.plugins, then.plugins, strict=True):
        yield from _of_values(_options(one), _options(was), one.name)


def _options(plugin: Chosen) -> Mapping[str, Any]:
    return {**plugin.options, "on": plugin.on}


def _of_values(now: Mapping[str, Any], then: Mapping[str, Any], plugin: str = "") -> Iterator[Difference]:
    for name, was in then.items():
        value = now.get(name)
        if value != was:
            owner = f"{name} of {plugin}" if plugin else name
            yield Difference(owner, _written(value), _written(was), f"{name} = {_written(was)}")


def _written(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        inline.update(value)
        return inline.as_string()
    return str(tomlkit.item(value).as_string())
