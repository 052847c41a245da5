"""A sample of the matrix: each plugin on each agent beside another one works, or is refused as the page says."""

import re
import runpy
from pathlib import Path

import pytest

from plastic.testing import matrix
from plastic.testing.matrix import AGENTS, Cell, Pair, names, pairs, sample

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "plugins" / "matrix.md"


def committed() -> dict[Pair, str]:
    """What the page says of each pair: that it works, or the reason why it is refused."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        agent, _, text = section.partition("\n")
        rows = [
            [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)
        ]
        reasons = dict(re.findall(r"^- (r\d+): (.*)$", text, re.MULTILINE))
        for row in rows[2:]:
            for other, sign in zip(rows[0][1:], row[1:], strict=True):
                if sign:
                    found[Pair(agent, row[0], other)] = reasons.get(sign, sign)
    return found


SAID = committed()


def test_there_is_every_pair_on_every_agent() -> None:
    every = [pair for agent in AGENTS for pair in pairs(agent)]
    assert len(every) == len(AGENTS) * len(names()) * (len(names()) - 1) / 2
    assert len({frozenset((pair.first, pair.second)) | {pair.agent} for pair in every}) == len(every)


@pytest.mark.parametrize("agent", AGENTS)
def test_the_sample_has_every_plugin_on_every_agent(agent: str) -> None:
    chosen = [pair for pair in sample() if pair.agent == agent]
    assert {name for pair in chosen for name in (pair.first, pair.second)} == set(names())
    assert all(pair.first != pair.second for pair in chosen)
    assert len(chosen) <= (len(names()) + 1) // 2


@pytest.mark.parametrize("pair", sample(), ids=lambda pair: f"{pair.agent}: {pair.first}+{pair.second}")
def test_it_works_or_is_refused_as_the_page_says(pair: Pair) -> None:
    cell = matrix.outcome(pair)
    assert cell.outcome != "broken", cell.why
    said = SAID.get(pair, SAID.get(Pair(pair.agent, pair.second, pair.first)))
    if said is None:
        pytest.skip("the page is of fewer plugins; make matrix")
    assert said == ("✓" if cell.outcome == "works" else cell.why)


def test_the_page_is_of_all_plugins() -> None:
    assert {name for pair in SAID for name in (pair.first, pair.second)} == set(names()), "make matrix"
    assert "?" not in SAID.values()


def test_the_page_numbers_the_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(DOCS / "matrix.py"))
    cells = [Cell(pair, "works", "") for pair in pairs("rainbow")]
    cells[1] = Cell(cells[1].pair, "refused", "they differ; choose one")
    text = script["page"](cells)
    assert "| r1 |" in text
    assert text.count("r1") == 3  # and in the head of the page
    assert "- r1: they differ; choose one\n" in text


def test_probes_that_find_nothing_do_not_hide_the_others() -> None:
    """Nothing ends in a tanh there, and beside rational nothing can be off."""
    assert matrix.outcome(Pair("rainbow", "rational", matrix.PROBES)).outcome == "works"
