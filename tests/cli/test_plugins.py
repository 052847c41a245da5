"""`plastic plugins` and `plastic plugins show`."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plastic.cli import output
from plastic.core.recipes.options import fields
from plastic.core.recipes.registry import Registry

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

PLUGINS = Registry().load().all("plugin")


def test_the_list_has_a_line_for_every_plugin(plastic: "Plastic") -> None:
    done = plastic("plugins")
    assert (done.code, done.err) == (0, "")
    heading, *lines = done.out.splitlines()
    assert heading.split() == ["plugin", "kind", "what", "it", "does", "package"]
    assert [line.split()[0] for line in lines] == list(PLUGINS)
    (sam,) = (line for line in lines if line.startswith("sam "))
    assert sam.split("  ")[0] == "sam"
    assert "modifier      Step with the gradient at w + rho g / |g| instead of at w " in sam
    assert sam.endswith(" plastic-rl")
    assert "arXiv" not in done.out


@pytest.mark.parametrize("arguments", [("plugins",), ("plugins", "show", "sam")])
def test_in_a_narrow_terminal_nothing_is_lost(
    plastic: "Plastic", monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    wide = plastic(*arguments).out.split()
    monkeypatch.setattr(output, "_ANY_WIDTH", 40)
    narrow = plastic(*arguments).out
    assert max(map(len, narrow.splitlines())) <= 40
    assert {word for word in wide if len(word) < 20} <= set(narrow.split())


def test_brackets_in_a_docstring_are_text(plastic: "Plastic") -> None:
    assert "[ReLU(x), ReLU(-x)]" in plastic("plugins").out
    assert "[ReLU(x), ReLU(-x)]" in plastic("plugins", "show", "crelu").out


@pytest.mark.parametrize("name", PLUGINS)
def test_every_option_of_every_plugin_is_explained(plastic: "Plastic", name: str) -> None:
    done = plastic("plugins", "show", name)
    assert (done.code, done.err) == (0, "")
    table = done.out[done.out.index("\noption ") :].splitlines()[2:]
    options = fields(PLUGINS[name].cls)
    listed = {cells[0]: cells for line in table if (cells := [cell for cell in line.split("  ") if cell])}
    for option in options:
        assert len(listed[option]) == 4, f"{name}: {option} has no meaning in the docstring"


def test_claims_are_those_of_the_defaults_and_what_options_add(plastic: "Plastic") -> None:
    lines = plastic("plugins", "show", "hare_tortoise").out.splitlines()
    (claims,) = (line for line in lines if line.startswith("claims "))
    assert claims.split(None, 1)[1] == (
        "weights after a step; with other options than the defaults also evaluation copy"
    )
    assert "also" not in next(line for line in plastic("plugins", "show", "swa").out.splitlines() if "claims " in line)


def test_what_is_shown_of_one(plastic: "Plastic") -> None:
    text = plastic("plugins", "show", "sam").out
    for line in ("plugin   sam", "kind     modifier", "claims   ascent", "changes  gradients", "package  plastic-rl"):
        assert line in text.splitlines()
    assert "(Foret et al., 2021, arXiv:2010.01412)." in text
    assert "Attributes:" not in text
    rho = next(line for line in text.splitlines() if line.startswith("rho "))
    assert [cell.strip() for cell in rho.split("  ") if cell.strip()] == [
        "rho",
        "number",
        "0.1",
        "Radius of the neighbourhood, in the L2 norm of the weights.",
    ]


def test_a_plain_count_of_a_schedule_is_explained_for_the_plugin_at_hand(plastic: "Plastic") -> None:
    assert "a number of updates (every so many)" in plastic("plugins", "show", "reset").out
    assert "a number of updates (once at it)" in plastic("plugins", "show", "plasticity_injection").out
    assert "A schedule" not in plastic("plugins", "show", "crelu").out


def test_a_class_of_ones_own(plastic: "Plastic") -> None:
    Path("bare.py").write_text(
        "from attrs import frozen\n"
        "from plastic.core.intervention import PlasticityIntervention\n"
        "@frozen\n"
        "class Bare(PlasticityIntervention):\n"
        "    'Do nothing.'\n"
        "    name = 'bare'\n"
    )
    text = plastic("plugins", "show", "bare:Bare").out
    assert "kind     intervention\n" in text
    assert "package  bare\n" in text
    assert text.endswith("\nDo nothing.\n\nIt has no options.\n")
