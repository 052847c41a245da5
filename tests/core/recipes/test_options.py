"""Options: what is taken as which type, and how what is not is refused."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import define, field, frozen, make_class

from plastic.core.errors import UsageError
from plastic.core.recipes import options
from plastic.core.schedule import Always, At, Every, Never, Schedule
from plastic.core.validators import between
from tests.core.stubs import Whenever


@frozen
class Everything:
    """One option of each type that plugins and agents have."""

    count: int = field(default=3, validator=between(1))
    share: float = field(default=0.5, validator=between(0, 1))
    rate: float = field(default=1e-3, validator=between(0, above=True))
    flag: bool = False
    word: str = "head"
    choice: Literal["left", "right"] = "left"
    most: int | None = field(default=None, validator=between(1))
    spread: float | None = None
    note: str | None = None
    bounds: tuple[float, ...] = (0.0, 0.1)
    parts: tuple[str, ...] = ()
    pair: tuple[float, int] = (0.0, 1)
    names: Sequence[str] = ()
    steps: list[int] = field(factory=list)
    words: frozenset[str] = frozenset()
    later: Schedule | None = None
    when: Schedule = Every(10)
    once: Schedule = At(20)


@define
class WithState:
    """A field with `init=False` is no option."""

    rho: float = 0.1
    seen: int = field(default=0, init=False)


def build(**given: Any) -> Everything:
    built: Everything = options.build(Everything, given, "thing")
    return built


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("count", 7, 7),
        ("share", 0.25, 0.25),
        ("share", 1, 1.0),  # an integer is a number
        ("rate", 2, 2.0),
        ("flag", True, True),
        ("word", "encoder", "encoder"),
        ("choice", "right", "right"),
        ("most", 2, 2),
        ("most", "none", None),
        ("most", None, None),
        ("spread", 1, 1.0),
        ("spread", "none", None),
        ("note", "none", None),
        ("note", "text", "text"),
        ("bounds", [1, 0.5], (1.0, 0.5)),
        ("bounds", [], ()),
        ("bounds", (0.5,), (0.5,)),
        ("parts", ["a", "b"], ("a", "b")),
        ("pair", [1, 2], (1.0, 2)),
        ("names", ["a"], ("a",)),
        ("steps", [1, 2], [1, 2]),
        ("words", ["a", "b"], frozenset({"a", "b"})),
        ("later", "none", None),
        ("later", 5, Every(5)),
        ("when", 5, Every(5)),
        ("once", 5, At(5)),
        ("when", "always", Always()),
        ("when", "never", Never()),
        ("when", {"every": 5, "of": "frames", "start": 2, "stop": -1}, Every(5, "frames", 2, -1)),
    ],
)
def test_what_is_taken(name: str, value: Any, expected: Any) -> None:
    built = getattr(build(**{name: value}), name)
    assert built == expected
    assert type(built) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("count", True, "thing: count must be an integer, not True"),
        ("count", 1.7, "thing: count must be an integer, not 1.7"),
        ("count", 2.0, "thing: count must be an integer, not 2.0"),
        ("count", "1", "thing: count must be an integer, not '1'"),
        ("count", "none", "thing: count must be an integer, not 'none'"),
        ("count", 0, "thing: count must be at least 1, not 0"),
        ("share", True, "thing: share must be a number, not True"),
        ("share", "0.5", "thing: share must be a number, not '0.5'"),
        ("share", 1.5, "thing: share must be between 0 and 1, not 1.5"),
        ("share", -0.1, "thing: share must be between 0 and 1, not -0.1"),
        ("share", float("nan"), "thing: share must be a number, not nan"),
        ("spread", float("nan"), "thing: spread must be a number, not nan"),
        ("share", math.inf, "thing: share must be between 0 and 1, not inf"),
        ("rate", math.inf, "thing: rate must be finite, not inf"),
        ("spread", -math.inf, "thing: spread must be finite, not -inf"),
        ("bounds", [0.0, math.inf], "thing: bounds must be finite, not inf"),
        ("rate", 0, "thing: rate must be above 0, not 0.0"),
        ("flag", 1, "thing: flag must be true or false, not 1"),
        ("flag", "true", "thing: flag must be true or false, not 'true'"),
        ("word", 1, "thing: word must be a word, not 1"),
        ("word", ["head"], "thing: word must be a word, not ['head']"),
        ("choice", "middle", "thing: choice must be one of left, right, not 'middle'"),
        ("choice", ["left"], "thing: choice must be one of left, right, not ['left']"),
        ("most", 1.5, "thing: most must be an integer, not 1.5"),
        ("most", 0, "thing: most must be at least 1, not 0"),
        ("bounds", 0.1, "thing: bounds must be a list, not 0.1"),
        ("bounds", ["a"], "thing: bounds must be a number, not 'a'"),
        ("parts", "head", "thing: parts must be a list, not 'head'"),
        ("pair", [1.0], "thing: pair must be a list of 2, not [1.0]"),
        ("pair", [1.0, 2.0], "thing: pair must be an integer, not 2.0"),
        ("names", "head", "thing: names must be a list, not 'head'"),
        ("steps", [True], "thing: steps must be an integer, not True"),
        ("words", "head", "thing: words must be a list, not 'head'"),
        ("later", "sometimes", "thing: later must be a number of updates"),
        ("when", 0, "thing: when a period is at least 1, not 0"),
        ("when", "sometimes", "thing: when must be a number of updates"),
        ("when", {"every": "5"}, "thing: when period must be an integer, not '5'"),
        ("when", {"every": 5, "off": "frames"}, "thing: when has no 'off'; did you mean 'of'?"),
        ("mots", 3, "thing has no option 'mots'; did you mean 'most'?"),
        ("qqq", 3, "thing has no option 'qqq'; known: bounds, choice"),
    ],
)
def test_what_is_refused_in_one_sentence(name: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(**{name: value})
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_what_is_infinite_by_default_or_has_a_validator_of_its_own_may_be() -> None:
    @frozen
    class Unbounded:
        most: float = math.inf
        least: float = field(default=0.0, validator=lambda *_: None)

    assert options.build(Unbounded, {"most": math.inf, "least": -math.inf}, "thing") == Unbounded(math.inf, -math.inf)
    assert options.build(Unbounded, {"most": 3.0}, "thing").most == 3.0
    with pytest.raises(UsageError, match=r"^thing: most must be finite, not -inf$"):
        options.build(Unbounded, {"most": -math.inf}, "thing")


def test_state_is_no_option() -> None:
    assert list(options.fields(WithState)) == ["rho"]
    with pytest.raises(UsageError, match="sam has no option 'seen'"):
        options.build(WithState, {"seen": 1}, "sam")


def test_an_error_of_the_class_itself_is_one_of_use() -> None:
    @frozen
    class Range:
        low: float = 0.0
        high: float = 1.0

        def __attrs_post_init__(self) -> None:
            if self.low >= self.high:
                raise ValueError("low must be\n   below high")

    with pytest.raises(UsageError, match=r"^range: low must be below high$"):
        options.build(Range, {"low": 2.0}, "range")


def test_a_missing_option_is_named() -> None:
    @frozen
    class Needy:
        rate: float

    with pytest.raises(UsageError, match=r"needy: .*'rate'"):
        options.build(Needy, {}, "needy")


def test_types_that_are_imported_for_the_checker_alone_are_refused() -> None:
    @frozen
    class Lazy:
        rate: "Undefined" = 0  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UsageError, match="lazy: the type of an option cannot be read: name 'Undefined'"):
        options.build(Lazy, {"rate": 1}, "lazy")


@pytest.mark.parametrize(
    "instance",
    [
        Everything(),
        Everything(count=5, most=2, spread=0.25, note="x", bounds=(), parts=("a",), when=Always(), once=Never()),
        Everything(when=At(3, of="frames"), once=Every(2, of="episodes", start=1, stop=9)),
        Everything(when=Every(2, start=-5, stop=-1), choice="right", flag=True, word=""),
    ],
)
def test_values_build_the_same_instance_again(instance: Everything) -> None:
    assert options.build(Everything, options.values(instance), "thing") == instance


def test_a_class_whose_options_a_recipe_can_hold_is_taken() -> None:
    options.refuse_unwritable(Everything, "mine: Everything")
    options.refuse_unwritable(WithState, "mine: WithState")


@pytest.mark.parametrize(
    ("hint", "default", "words"),
    [
        (int | str, 1, "mine: rule is of the type int | str, which a recipe cannot hold"),
        (Path, Path("x"), "mine: the default of rule is PosixPath('x'), which a recipe cannot hold"),
        (Any, object, "mine: the default of rule is <class 'object'>, which a recipe cannot hold"),
        (int, 1.5, "mine: rule must be an integer, not 1.5"),
        (Schedule, Whenever(), "a recipe has no words for the schedule Whenever(); use Every, At, Always or Never"),
    ],
)
def test_a_class_with_an_option_that_no_recipe_can_hold_is_refused(hint: Any, default: Any, words: str) -> None:
    made = make_class("Made", {"rule": field(default=default, type=hint)}, frozen=True)
    with pytest.raises(UsageError) as caught:
        options.refuse_unwritable(made, "mine")
    assert str(caught.value).startswith(words)
