"""Docstrings and options in words."""

from typing import Literal

from attrs import field, frozen

from plastic.cli.describe import Option, changed, description, in_one_line, moment, options_of, place
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import OptimizerModifier
from plastic.core.schedule import Always, At, Every, Schedule


@frozen
class Example(OptimizerModifier):
    """Do [this] and that (Somebody et al., 2024, arXiv:2401.00001).

    More of it.

    Attributes:
        size: How large it is, and this takes
            two lines.
        form: Which.
        limit: At the most.
        when: At which updates.

    What follows is no option: the last word.
    """

    name = "example"
    size: float = 0.5
    form: Literal["round", "square"] = "round"
    limit: int | None = None
    words: list[str] = field(factory=list)
    when: Schedule = Every(10)
    state: int = field(default=0, init=False)


def test_options() -> None:
    assert options_of(Example) == [
        Option("size", "number", "0.5", "How large it is, and this takes two lines."),
        Option("form", "round | square", "round", "Which."),
        Option("limit", "integer or none", "none", "At the most."),
        Option("when", "schedule", "every 10 updates", "At which updates."),
        Option("words", "list[str]", "[]", ""),
    ]


@frozen
class Derived(Example):
    """Do more.

    Attributes:
        more: How much more.
        form: Another.
    """

    name = "derived"
    form: Literal["round", "square"] = "square"
    more: int = 1


def test_options_of_a_parent_follow_in_the_order_in_which_they_are_explained() -> None:
    assert [(option.name, option.default, option.meaning) for option in options_of(Derived)] == [
        ("more", "1", "How much more."),
        ("form", "square", "Another."),
        ("size", "0.5", "How large it is, and this takes two lines."),
        ("limit", "none", "At the most."),
        ("when", "every 10 updates", "At which updates."),
        ("words", "[]", ""),
    ]


def test_the_description_is_the_docstring_without_the_options() -> None:
    assert description(Example) == (
        "Do [this] and that (Somebody et al., 2024, arXiv:2401.00001).\n\n"
        "More of it.\n\n"
        "What follows is no option: the last word."
    )


def test_one_line_without_the_paper() -> None:
    assert in_one_line(Example) == "Do [this] and that"


def test_a_class_without_a_docstring() -> None:
    class Bare:
        pass

    assert (in_one_line(Bare), description(Bare)) == ("", "")


def test_only_what_differs_is_named() -> None:
    assert changed(Example()) == ""
    assert changed(Example(size=1.0, limit=3, when=At(5))) == "size=1.0 limit=3 when=once at 5 updates"
    assert changed(Example(size=1.0, when=At(5)), without=("when",)) == "size=1.0"


@frozen
class Wrapping(PlasticityIntervention):
    name = "wrapping"
    layers: str = "head"

    def build(self, model):  # type: ignore[no-untyped-def]
        return model


@frozen
class Penalty(PlasticityIntervention):
    name = "penalty"

    def penalty(self, model, inputs):  # type: ignore[no-untyped-def]
        return 0.0


@frozen
class Several(PlasticityIntervention):
    name = "several"
    layers: tuple[str, ...] = ("encoder", "head")
    scope: str | None = None


def test_where_of_a_plugin_whose_layers_are_a_list_or_none() -> None:
    assert place(Several()) == "encoder+head"
    assert place(Several(layers=(), scope="trunk")) == "trunk"
    assert place(Several(layers=())) == "whole"


def test_where_and_when() -> None:
    assert (place(Wrapping()), moment(Wrapping())) == ("head", "from the start")
    assert (place(Penalty()), moment(Penalty())) == ("whole", "always")
    assert (place(Example()), moment(Example(when=Always()))) == ("whole", "always")
    assert moment(Example(when=Every(3, of="episodes"))) == "every 3 episodes"
