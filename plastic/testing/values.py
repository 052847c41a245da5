"""Values that an option may take, found from its type, its default and the words of its description."""

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from itertools import product
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from plastic.core.errors import UsageError
from plastic.core.plugin import Plugin
from plastic.core.recipes import options
from plastic.core.schedule import Always, At, Every, Never, Schedule

PARTS = ("encoder", "head", "trunk", "not-encoder", "whole", "1", "3", "5", "head.*.2")  # of the trials' networks
Given = dict[str, Any]  # options by name, as a recipe holds them


def small(cls: type[Plugin], given: Mapping[str, Any]) -> Given:
    """Options with which a plugin acts within a few updates, if it can be told: its schedules every other update.

    Raises:
        UsageError: If no values were found with which it can be made; give some.
    """
    base = {**_soon(cls), **given}
    reason = refusal(cls, base)
    if reason is None:
        return base
    for name in options.fields(cls):
        if name not in given:
            for other in others(cls, name, base):
                if refusal(cls, other) is None:
                    return other
    raise UsageError(f"{reason}; give options to check it with, or an `example` in the field's metadata")


def others(cls: type[Plugin], name: str, base: Mapping[str, Any]) -> list[Given]:
    """`base` with other values of one option, those first that the plugin gives as an example; none is refused."""
    field = options.fields(cls)[name]
    found: list[Given] = []
    declared = field.metadata.get("example")
    if declared is not None:
        found.append({**base, **declared["beside"], name: declared["value"]})
    hint = get_type_hints(cls)[name]
    now = base[name] if name in base else options.default_of(field)
    for value in _alternatives(hint, now, _words(cls, name)):
        given = {**base, name: value}
        found.append(given)
        if refusal(cls, given) is not None:  # it may exclude another option
            found += [{key: item for key, item in given.items() if key != other} for other in base if other != name]
    return [given for given in found if given != base and refusal(cls, given) is None]


def exemplary(cls: type[Plugin]) -> Given:
    """The first example that the plugin's options declare, with what it needs beside it; empty without any."""
    for name, field in options.fields(cls).items():
        declared = field.metadata.get("example")
        if declared is not None:
            return {**declared["beside"], name: declared["value"]}
    return {}


def every_option(cls: type[Plugin], given: Mapping[str, Any]) -> Given:
    """All options with their values, as a recipe holds them."""
    return options.values(options.build(cls, given, cls.name))


def _soon(cls: type[Plugin]) -> Given:
    found: Given = {}
    for name, field in options.fields(cls).items():
        default = options.default_of(field)
        if "example" in field.metadata and default is attrs.NOTHING:
            found |= {**field.metadata["example"]["beside"], name: field.metadata["example"]["value"]}
        elif isinstance(default, Schedule):
            for when in _schedules(default):
                if refusal(cls, {name: when}) is None:
                    found[name] = when
                    break
    return found


def _schedules(default: Schedule) -> Iterator[Any]:
    """In the form of a recipe."""
    match default:
        case At():
            yield {"at": 2, "of": "updates"}
        case Every() | Never():
            yield {"every": 2, "of": "updates"}
        case Always():
            yield "always"
        case _:  # of a kind of its own, which a recipe cannot hold
            return


def refusal(cls: type[Plugin], given: Mapping[str, Any]) -> str | None:
    """Why the plugin cannot be made with these options, or None."""
    try:
        options.build(cls, given, cls.name)
    except UsageError as error:
        return str(error)
    return None


def _words(cls: type[Plugin], name: str) -> list[str]:
    """What stands in backticks in an option's description, in the class's docstring or else in a parent's."""
    for one in cls.__mro__:
        docstring = cleandoc(one.__doc__ or "") + "\n"
        described = re.search(rf"^ {{4}}{name}: (.*\n(?: {{8}}.*\n?)*)", docstring, re.MULTILINE)
        if described is not None:
            return re.findall(r"`([^`\s]+)`", described[1])
    return []


def _alternatives(hint: Any, now: Any, words: list[str]) -> Iterator[Any]:
    kinds = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        for kind in kinds:
            if kind is NoneType:
                yield "none"
            else:
                yield from _alternatives(kind, now, words)
    elif get_origin(hint) is Literal:
        yield from (kind for kind in kinds if kind != now)
    elif hint is bool:
        yield not now
    elif hint is int:
        counts = (now + 1, now * 2, now // 2, now * 10) if isinstance(now, int) else ()
        yield from (*counts, 1, 2, 0, 3)
    elif hint is float:
        sizes = (now * 2, now * 0.5, now * 100, now * 0.01) if isinstance(now, int | float) and now else ()
        yield from (*sizes, 0.5, 0.1, 1.0, 0.9, 2.0, 0.0, 1e-3)
    elif hint is str:
        yield from (word for word in (*words, *PARTS) if word != now)
        yield from (f"{one}+{other}" for one, other in product(words, words) if one < other)
    elif isinstance(hint, type) and issubclass(hint, Schedule):
        yield from ({"every": 3}, {"every": 1}, {"at": 3}, "always", "never")
    elif get_origin(hint) in (tuple, list, frozenset) and isinstance(now, tuple | list | frozenset):
        items = list(now)
        yield items[:-1]
        yield from ([*items[:-1], other] for other in (_alternatives(kinds[0], items[-1], words) if items else ()))
