"""What a value of an option must be, beside its type."""

import math
from collections.abc import Callable
from typing import Any

import attrs

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def between(low: float, high: float | None = None, *, above: bool = False) -> Validator:
    """An attrs validator for a range of finite numbers, with a readable message.

    Both ends are included; `above` leaves `low` out.
    """

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if value is None:
            return
        if value < low or (above and value == low) or (high is not None and value > high):
            sign = "above" if above else "at least"
            limit = f"{sign} {low:g}" if high is None else f"between {low:g} and {high:g}"
            raise ValueError(f"{attribute.name} must be {limit}, not {value!r}")
        if isinstance(value, float) and not math.isfinite(value):  # nan is in every range
            raise ValueError(f"{attribute.name} must be finite, not {value!r}")

    return check
