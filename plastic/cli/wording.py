"""How numbers, spans of time and option values are written for people."""

import math
from typing import Any

from plastic.core.schedule import Schedule


def score(value: float) -> str:
    """At most two decimals.

    >>> score(21.0), score(-16.354), score(12345.5)
    ('21', '-16.35', '12,345.5')
    """
    return f"{value:,.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else str(value)


def span(seconds: float) -> str:
    """A time one can grasp.

    >>> span(7.4), span(252), span(7500)
    ('7 s', '4 min 12 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int, what: str) -> str:
    """A number of things.

    >>> count(1, "game"), count(2_000, "game")
    ('1 game', '2,000 games')
    """
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def option(value: Any) -> str:
    """An option's value as it is typed; a schedule in words.

    >>> option(None), option(True), option(0.1), option("head")
    ('none', 'true', '0.1', 'head')
    """
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case Schedule():
            return str(value)
        case tuple() | list() | frozenset():
            return f"[{', '.join(map(option, value))}]"
        case _:
            return str(value)
