"""Options as they are typed: `NAME=VALUE,NAME=VALUE`."""

import tomllib
from collections.abc import Iterator
from typing import Any

from plastic.core.errors import UsageError


def parse(text: str, owner: str) -> dict[str, Any]:
    """`rho=0.05,scope=encoder` to a dictionary; values are read as TOML where they are, else as words.

    >>> parse("rho=0.05,scope=encoder,adaptive=true", "sam")
    {'rho': 0.05, 'scope': 'encoder', 'adaptive': True}

    Raises:
        UsageError: If a part has no `=`, or a name comes twice.
    """
    options: dict[str, Any] = {}
    for part in filter(None, _parts(text)):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise UsageError(f"{owner}: {part!r} is no NAME=VALUE")
        if name in options:
            raise UsageError(f"{owner}: {name} is given twice; choose one")
        options[name] = parse_value(value)
    return options


def _parts(text: str) -> Iterator[str]:
    """What stands between the commas that are in no string, array or inline table."""
    start, depth, quote = 0, 0, ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "{[":
            depth += 1
        elif letter in "}]":
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def parse_value(text: str) -> Any:
    """A TOML value, or the text itself where it is none.

    >>> parse_value("4"), parse_value("ALE/Pong-v5"), parse_value('{every = 10, of = "frames"}')
    (4, 'ALE/Pong-v5', {'every': 10, 'of': 'frames'})
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
