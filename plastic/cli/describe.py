"""What a plugin, an agent or a family says about itself: its docstring and its options."""

import re
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from plastic.cli.wording import option
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import OptimizerModifier
from plastic.core.plugin import Plugin
from plastic.core.recipes.options import default_of, fields
from plastic.core.schedule import Schedule

PLACES = ("layers", "scope", "module")  # the options that say where in the network a plugin acts


@frozen
class Option:
    """One option, in words."""

    name: str
    type: str
    default: str
    meaning: str


def options_of(cls: type[Any]) -> list[Option]:
    """The options of an attrs class, as the section `Attributes:` of its docstring, or its parents', explains them.

    They come in the order in which they are explained, those that nobody explains last.
    """
    hints, own = get_type_hints(cls), fields(cls)
    meanings: dict[str, str] = {}
    for one in cls.__mro__:
        for name, meaning in _attributes(one.__doc__ or "").items():
            meanings.setdefault(name, meaning)
    order = dict.fromkeys(name for name in (*meanings, *own) if name in own)
    return [
        Option(name, _type(hints[name]), _in_words(default_of(own[name])), meanings.get(name, "")) for name in order
    ]


def _in_words(default: Any) -> str:
    return "required" if default is attrs.NOTHING else option(default)


_TYPES = {int: "integer", float: "number", bool: "true or false", str: "word", NoneType: "none"}


def _type(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_type(one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {_type(get_args(hint)[0])}s"
    if isinstance(hint, type) and issubclass(hint, Schedule):
        return "schedule"
    return _TYPES.get(hint, str(hint))


def _attributes(docstring: str) -> dict[str, str]:
    _, _, section = cleandoc(docstring).partition("\nAttributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        entry = re.match(r" {4}(\w+): (.*)", line)
        if entry:
            name, found[entry[1]] = entry[1], entry[2]
        elif line.startswith(" " * 8) and name:
            found[name] += " " + line.strip()
        elif line and not line.startswith(" "):
            break
    return found


def description(cls: type[Any]) -> str:
    """The docstring without its section `Attributes:`."""
    before, _, section = cleandoc(cls.__doc__ or "").partition("\nAttributes:\n")
    after = re.search(r"^\S", section, re.MULTILINE)
    return (before.rstrip() + ("\n\n" + section[after.start() :] if after else "")).strip()


def reflowed(text: str) -> str:
    r"""Each paragraph on one line, for a terminal to break; what is indented stays as it is.

    >>> reflowed("One\nparagraph.\n\nA list:\n  * item")
    'One paragraph.\n\nA list:\n  * item'
    """
    paragraphs = (part.splitlines() for part in text.split("\n\n"))
    return "\n\n".join(
        "\n".join(lines) if any(line[:1] in " *-" for line in lines) else " ".join(lines) for lines in paragraphs
    )


_CITATION = re.compile(r"\s*\([^()]*\b(?:19|20)\d\d\b[^()]*\)")


def in_one_line(cls: type[Any]) -> str:
    """The docstring's first line without the paper it cites.

    >>> class Clip: 'Clip the weights (Elsayed et al., 2024, arXiv:2407.01704).'
    >>> in_one_line(Clip)
    'Clip the weights'
    """
    first = cleandoc(cls.__doc__ or "").partition("\n")[0]
    return _CITATION.sub("", first).rstrip(".")


def kind(cls: type[Plugin]) -> str:
    """Which of the three kinds of plugin."""
    if issubclass(cls, OptimizerModifier):
        return "modifier"
    return "intervention" if issubclass(cls, PlasticityIntervention) else "probe"


def changed(instance: Any, without: tuple[str, ...] = ()) -> str:
    """The options of an instance that differ from their defaults, as they are typed."""
    return " ".join(
        f"{name}={option(getattr(instance, name))}"
        for name, field in fields(type(instance)).items()
        if name not in without and getattr(instance, name) != default_of(field)
    )


def place(plugin: Plugin) -> str:
    """The part of the network it acts on."""
    said = [getattr(plugin, name, None) for name in PLACES]
    return "+".join(part for one in said for part in _parts(one)) or "whole"


def _parts(said: Any) -> list[str]:
    """What an option says of the network: one part, several, or, as None, nothing."""
    if said is None:
        return []
    return [option(one) for one in said] if isinstance(said, tuple | list | frozenset) else [option(said)]


def moment(plugin: Plugin) -> str:
    """When it acts."""
    when: Schedule | None = getattr(plugin, "when", None)
    if when is not None:
        return str(when)
    built = isinstance(plugin, PlasticityIntervention) and plugin.overrides("build")
    return "from the start" if built else "always"
