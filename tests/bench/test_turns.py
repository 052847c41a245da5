import time

import pytest

from plastic.bench import turns
from plastic.bench.turns import Quartiles, Timed, take_turns


def test_what_is_timed_takes_turns_forwards_and_backwards() -> None:
    done: list[str] = []
    timed = [Timed(lambda name=name: done.append(name)) for name in "ab"]  # type: ignore[misc]
    shares: list[float] = []
    rounds = take_turns(timed, 1e-9, shares.append)
    assert rounds == turns.LEAST == len(shares)
    assert "".join(done) == "ab" + "ab" + "ba" + "ab"
    assert [len(one.seconds) for one in timed] == [3, 3]
    assert shares[-1] == 1.0


def test_what_is_slow_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        time.sleep(0.02)

    monkeypatch.setattr(turns, "SLOW", 0.02)
    slow = Timed(work)
    assert take_turns([slow], 1e-9) == 0
    assert len(slow.seconds) == len(calls) == 1
    monkeypatch.setattr(turns, "SLOW", 1_000.0)
    quick = Timed(lambda: None)
    take_turns([quick], 1e-9)
    assert slow.over(quick).lower == slow.over(quick).upper == slow.median / quick.median


def test_ratios_are_taken_round_by_round() -> None:
    one, other = Timed(lambda: None), Timed(lambda: None)
    one.seconds, other.seconds = [2.0, 30.0, 400.0], [1.0, 10.0, 100.0]
    assert one.over(other) == Quartiles(2.5, 3.0, 3.5)
    assert one.median == 30.0
    assert one.beside(other) == Quartiles(25.0, 30.0, 35.0)
    assert one.beside(one) == Quartiles.of([2.0, 30.0, 400.0])


def test_the_seconds_are_those_of_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 14.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    four = Timed(lambda: None, times=4)
    assert four() == 4.0  # by the whole call is decided what is slow
    assert four.seconds == [1.0]
