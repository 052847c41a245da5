"""Schedules as a recipe writes them."""

from typing import Any

import attrs

from plastic.core.errors import UsageError, suggestion
from plastic.core.schedule import Always, At, Every, Never, Schedule


def schedule(value: Any, *, once: bool) -> Schedule:
    """A schedule from its recipe form: a count of updates, a table, `always` or `never`.

    Args:
        value: What was written.
        once: Whether a bare count means once at it (an injection) instead of every so many (a reset).

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(value, Schedule):
        return value
    if value == "always":
        return Always()
    if value == "never":
        return Never()
    if type(value) is int:
        return At(value) if once else Every(value)
    if isinstance(value, dict):
        kind: type[Every | At] | None = Every if "every" in value else At if "at" in value else None
        if kind is not None:
            table = dict(value)
            first = table.pop("every" if kind is Every else "at")
            known = [field.name for field in attrs.fields(kind)][1:]
            for name in table:
                if name not in known:
                    raise ValueError(f"has no {name!r}; {suggestion(name, known)}")
            return kind(first, **table)
    raise ValueError(
        f'must be a number of updates, {{every = N, of = "updates"}}, {{at = N}}, always or never, not {value!r}'
    )


def form(value: Schedule) -> Any:
    """The recipe form of a schedule, which `schedule` reads.

    Raises:
        UsageError: If it is of a kind of one's own.
    """
    match value:
        case Every():
            table: dict[str, Any] = {"every": value.period, "of": value.of}
            table |= {"start": value.start} if value.start else {}
            return table | ({"stop": value.stop} if value.stop is not None else {})
        case At():
            return {"at": value.count, "of": value.of}
        case Always() | Never():
            return type(value).__name__.lower()
        case _:
            raise UsageError(f"a recipe has no words for the schedule {value!r}; use Every, At, Always or Never")
