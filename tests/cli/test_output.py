"""Printing for terminals and for files."""

from io import StringIO

import pytest
from rich.table import Table

from plastic.cli import output


def a_table() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("name", "x" * 300)
    table.add_row("longer name", "[bold]y :smile:")
    return table


def test_off_a_terminal_nothing_is_wrapped_cut_coloured_or_padded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    output.show(a_table(), "done")
    assert capsys.readouterr().out == f"name         {'x' * 300}\nlonger name  [bold]y :smile:\ndone\n"


def test_on_a_terminal_it_is_as_wide_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    output.show("word " * 30)
    lines = terminal.getvalue().splitlines()
    assert len(lines) > 3
    assert max(len(line) for line in lines) <= 40
