"""Ranges: what is in them, and the sentence about what is not."""

import math
import re

import pytest
from attrs import field, frozen

from plastic.core.validators import between


@frozen
class Ranges:
    """One option for each form of a range."""

    share: float = field(default=0.5, validator=between(0, 1))
    rate: float = field(default=1e-3, validator=between(0, above=True))
    most: int | None = field(default=None, validator=between(1))


def test_both_ends_are_in_a_range_unless_it_begins_above_one() -> None:
    assert [Ranges(share=share).share for share in (0.0, 1.0)] == [0.0, 1.0]
    assert Ranges(rate=5e-324).rate > 0
    assert [Ranges(most=most).most for most in (1, None)] == [1, None]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"share": 1.5}, "share must be between 0 and 1, not 1.5"),
        ({"share": -0.1}, "share must be between 0 and 1, not -0.1"),
        ({"share": math.inf}, "share must be between 0 and 1, not inf"),
        ({"share": math.nan}, "share must be finite, not nan"),
        ({"rate": 0.0}, "rate must be above 0, not 0.0"),
        ({"rate": math.nan}, "rate must be finite, not nan"),
        ({"rate": math.inf}, "rate must be finite, not inf"),
        ({"most": 0}, "most must be at least 1, not 0"),
    ],
)
def test_what_is_outside_of_a_range_is_refused_in_one_sentence(given: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        Ranges(**given)  # type: ignore[arg-type]
