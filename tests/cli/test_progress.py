"""What is drawn and what is printed while a run goes on."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from plastic.cli.progress import LiveProgress, PlainProgress, _Drawing, flowed, progress
from plastic.cli.standing import Standing
from plastic.core.schedule import Counts


def half_way() -> Standing:
    standing = Standing(lambda: 0.0)
    standing.phase, standing.steps, standing.total, standing.updates = "training", 50_000, 100_000, 48_001
    standing.loss = "loss 1.25"
    for score in (-21.0, -20.0):
        standing.recorded({"kind": "episode", "score": score})
    return standing


def drawn(standing: Standing, width: int) -> list[str]:
    file = StringIO()
    Console(file=file, width=width, force_terminal=True, color_system=None).print(_Drawing(standing))
    return file.getvalue().splitlines()


def test_a_wide_terminal_gets_two_lines() -> None:
    top, facts = drawn(half_way(), 120)
    assert top.startswith("training ")
    assert top.endswith(" 50%")
    assert facts == "50,000 of 100,000 steps   last game -20   mean of 2 -20.5   loss 1.25   48,001 updates"


@pytest.mark.parametrize("width", [20, 30, 44, 80])
def test_a_narrow_terminal_gets_more_lines_and_loses_nothing(width: int) -> None:
    lines = drawn(half_way(), width)
    assert max(map(len, lines)) <= width
    shown = " ".join(" ".join(lines).split())
    for fact in ("last game -20", "mean of 2 -20.5", "loss 1.25", "48,001 updates", "50%"):
        assert fact in shown


def test_what_is_longer_than_the_line_is_cut_and_not_wrapped() -> None:
    lines = drawn(half_way(), 12)
    assert max(map(len, lines)) <= 12
    assert len(lines) == 1 + len(half_way().facts())


def test_facts_flow() -> None:
    assert flowed([], 10) == []
    assert flowed(["aaaa", "bbb", "c"], 10) == ["aaaa   bbb", "c"]
    assert flowed(["aaaa", "bbbb", "c"], 10) == ["aaaa", "bbbb   c"]


def test_off_a_terminal_it_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(progress(), PlainProgress)


def test_on_a_terminal_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress(), LiveProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress(), PlainProgress), "a dumb terminal cannot redraw"


def terminal() -> StringIO:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    return Terminal()


def plain(time: list[float]) -> PlainProgress:
    return PlainProgress(lambda: time[0])


def look(listener: PlainProgress, phase: str) -> None:
    listener.phase = phase
    listener.changed()


def test_a_line_every_ten_seconds_at_first_and_every_minute_later(capsys: pytest.CaptureFixture[str]) -> None:
    time = [0.0]
    listener = plain(time)

    def lines_in(seconds: int) -> int:
        for _ in range(4 * seconds):
            time[0] += 0.25
            look(listener, "training")
        return len(capsys.readouterr().out.splitlines())

    assert lines_in(60) == 1 + 5  # the phase is new, and then every ten seconds
    lines_in(7_200)
    assert lines_in(600) == 10


def test_a_phase_that_is_new_has_a_line_and_one_that_returns_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    listener = plain([0.0])
    for phase in ("random actions", "training", "evaluation of 2 games", "training", "evaluation of 2 games"):
        look(listener, phase)
    phases = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert phases == ["random actions", "training", "evaluation of 2 games"]


def test_a_reader_that_leaves_stops_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def gone(*what: Any) -> None:
        raise BrokenPipeError

    listener = plain([0.0])
    run: Any = SimpleNamespace(stop=False, clock=SimpleNamespace(now=Counts()))
    listener._run = run
    monkeypatch.setattr("plastic.cli.progress.show", gone)
    look(listener, "training")
    assert run.stop
