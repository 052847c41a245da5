"""Tables that are broken up where a terminal is too narrow for them."""

import pytest
from rich.console import Console

from plastic.cli.listing import Listing

LISTING = Listing(
    ("plugins", "ms an update", "ratio to bare"),
    [("bare", "14.5", "1"), ("sam + plasticity_injection", "35.7", "2.94 [2.43, 3.63]")],
    numbers=("ms an update", "ratio to bare"),
)


def lines(listing: Listing, width: int) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(listing)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_where_there_is_room_it_is_a_table() -> None:
    assert lines(LISTING, 200) == [
        "plugins                     ms an update      ratio to bare",
        "bare                                14.5                  1",
        "sam + plasticity_injection          35.7  2.94 [2.43, 3.63]",
    ]


def test_labels_are_broken_at_words_first() -> None:
    assert lines(LISTING, 54) == [
        "plugins                ms an update      ratio to bare",
        "bare                           14.5                  1",
        "sam +                          35.7  2.94 [2.43, 3.63]",
        "plasticity_injection",
    ]


def test_then_headings_are() -> None:
    assert lines(LISTING, 47) == [
        "                       ms an",
        "plugins               update      ratio to bare",
        "bare                    14.5                  1",
        "sam +                   35.7  2.94 [2.43, 3.63]",
        "plasticity_injection",
    ]


def test_then_each_row_is_a_block() -> None:
    assert lines(LISTING, 46) == [
        "plugins",
        "bare",
        "  ms an update   14.5",
        "  ratio to bare  1",
        "sam + plasticity_injection",
        "  ms an update   35.7",
        "  ratio to bare  2.94 [2.43, 3.63]",
    ]


@pytest.mark.parametrize("width", range(12, 70))
def test_at_no_width_is_anything_lost(width: int) -> None:
    found = lines(LISTING, width)
    assert max(map(len, found)) <= width
    letters = "".join("".join(found).split())
    for text in ("bare", "14.5", "35.7"):
        assert text in letters
    if width > 36:
        assert "2.94 [2.43, 3.63]" in "\n".join(found)
        assert "plasticity_injection" in "\n".join(found)


def test_a_cell_of_words_has_a_width_one_can_read_at() -> None:
    listing = Listing(("name", "what"), [("swa", "evaluate with the running mean")], whole=("name",))
    assert lines(listing, 26) == ["name  what", "swa   evaluate with the", "      running mean"]
    assert lines(listing, 25)[:2] == ["name", "swa"]


def test_it_may_have_no_rows() -> None:
    assert lines(Listing(("name", "what"), []), 40) == ["name  what"]
