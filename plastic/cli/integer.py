"""A whole number as it is typed."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter, Token

from plastic.core.errors import UsageError


def _whole(type_: type[int], tokens: Sequence[Token]) -> int:
    """The number; cyclopts by itself would round 600.9 to 601.

    Raises:
        UsageError: If it is none.
    """
    (token,) = tokens
    try:
        return type_(token.value)
    except ValueError as error:
        name = (token.keyword or "the number").lstrip("-")
        raise UsageError(f"{name} must be an integer, not {token.value!r}") from error


Integer = Annotated[int | None, Parameter(converter=_whole)]
