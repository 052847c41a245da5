"""`plastic plugins check`: a certificate, and an exit code that says whether it is one."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

INERT = """\
from attrs import frozen
from plastic.core.modifier import OptimizerModifier

@frozen(eq=False)
class Inert(OptimizerModifier):
    "Do nothing."
    name = "inert"
    changes = frozenset({"gradients"})
"""


@pytest.mark.slow
def test_a_sound_one(plastic: "Plastic") -> None:
    done = plastic("plugins", "check", "weight_norm", "--alone")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["plugin", "weight_norm"]
    assert any(line.startswith("checkpoint      holds") for line in lines)
    assert lines[-1].startswith("weight_norm is sound. (")


def test_one_that_is_not(plastic: "Plastic") -> None:
    Path("own.py").write_text(INERT, encoding="utf-8")
    done = plastic("plugins", "check", "own:Inert", "--alone")
    assert (done.code, done.err) == (1, "")
    assert "  changes: it is inert: no run with it differs from the run without" in done.out.splitlines()
    assert "inert is not sound: 1 fault. (" in done.out


def test_one_that_is_not_there(plastic: "Plastic") -> None:
    assert plastic("plugins", "check", "smm").code == 2
    assert plastic("plugins", "check", "own:Nothing").code == 2
