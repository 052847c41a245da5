"""`plastic run --seeds 0-9`: a run with several seeds, each a process of its own, as many as the machine takes."""

import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from attrs import define, evolve

from plastic.cli.seed_run import SeedRun, results, standing
from plastic.cli.several import Wanted, several
from plastic.core.errors import UsageError

if TYPE_CHECKING:
    from plastic.core.recipes.recipe import Recipe

_MOST = 1_000
_COMPLAINING = "plastic: "
_TELLING = ("random actions", "training", "evaluation", "final evaluation", "score")  # lines of a run
_CHILD = "import sys; from plastic.cli.main import main; sys.exit(main())"


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds and ranges of seeds, both ends included.

    >>> parse_seeds("0-3,7")
    (0, 1, 2, 3, 7)

    Raises:
        UsageError: If it is none, or names a seed twice.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or not (last if dash else first).isdecimal():
            raise UsageError(f"seeds are written as 0-9 or 0,3,7, not {text!r}")
        begin, end = int(first), int(last if dash else first) + 1
        if len(seeds) + end - begin > _MOST:  # asked before they are listed: they may be more than memory holds
            raise UsageError(f"{text!r} are more than {_MOST:,} seeds")
        seeds += range(begin, end)
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError(f"{text!r} names {'no seed' if not seeds else 'a seed twice'}")
    return tuple(seeds)


@define(eq=False)
class _Signals:
    """Hands a first Ctrl-C or SIGTERM on, so that each run stops with a checkpoint; a second ends them at once."""

    seeds: Sequence[SeedRun]
    first: signal.Signals | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """As signal handlers are called."""
        self.first = self.first or signal.Signals(number)
        for one in self.seeds:
            if one.process is not None and one.code is None:
                one.process.send_signal(number)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Inside, signals go to the runs."""
        before = {number: signal.signal(number, self.handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_seeds(
    wanted: "Recipe",
    seeds: str,
    out: Path | None,
    logs: Sequence[str],
    together: int | None,
    quiet: bool,
) -> int:
    """Carry out a recipe with each seed in a process of its own; the exit code.

    Args:
        wanted: The recipe; its own seed does not count.
        seeds: As `parse_seeds` reads them; in the order they begin.
        out: A new folder, in which each run has one named by its seed; None is the next free one under runs/.
        logs: What else each of them writes metrics for.
        together: How many at a time; None is as many as the machine takes, see `plastic.cli.at_once`.
        quiet: Print the results alone.

    Raises:
        UsageError: If the recipe does not fit; nothing is begun then.
    """
    from plastic.cli.output import show

    numbers = parse_seeds(seeds)
    decided = several(Wanted(wanted, seeds, len(numbers), together, out, logs, make=True))
    assert decided.folder is not None
    if not quiet:
        show(decided.plan)
    states = [SeedRun(seed, decided.folder / f"s{seed}") for seed in numbers]
    signals = _Signals(states)
    arguments = [word for name in logs for word in ("--log", name)]
    text = evolve(wanted, seed=0).toml()
    with tempfile.TemporaryDirectory() as scratch, signals.caught():
        recipe = Path(scratch) / "recipe.toml"
        recipe.write_text(text, encoding="utf-8")
        _carry_out(states, recipe, arguments, decided.at_once, signals, quiet)
    show(results(states))
    kept = decided.folder / "seeds.toml"  # no recipe.toml: the folder is no run's
    if not all(one.begun for one in states):
        kept.write_text(text, encoding="utf-8")
    for one in states:
        if not one.done:
            begin = shlex.join(_words(one, kept, arguments))
            print(f"plastic: {one.ending(f'plastic {begin}')}", file=sys.stderr)
    if signals.first is not None:
        return 128 + signals.first
    return 0 if all(one.done for one in states) else 1


def _words(one: SeedRun, recipe: Path, arguments: Sequence[str]) -> list[str]:
    """What follows `plastic` to carry out one of them."""
    return ["run", "--config", str(recipe), "--seed", str(one.seed), "--out", str(one.folder), *arguments]


def _carry_out(
    states: Sequence[SeedRun], recipe: Path, arguments: Sequence[str], at_once: int, signals: _Signals, quiet: bool
) -> None:
    with _shown(states, quiet) as changed, ThreadPoolExecutor(at_once) as pool:

        def one(state: SeedRun) -> None:
            if signals.first is not None:
                return
            command = [sys.executable, "-P", "-c", _CHILD, *_words(state, recipe, arguments)]
            # in a session of its own: a terminal's Ctrl-C reaches it through us alone, and once
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            ) as state.process:
                if signals.first is not None:  # that came between the question and the start
                    state.process.send_signal(signals.first)
                assert state.process.stdout is not None
                for line in state.process.stdout:
                    if line.startswith(_COMPLAINING):
                        state.error = " ".join(line.removeprefix(_COMPLAINING).split())
                    elif line.startswith(_TELLING):
                        state.said = " ".join(line.split())
                        changed(state)
            state.code = state.process.returncode
            if not state.done:
                state.said = "failed" if signals.first is None else "stopped"  # why is said at the end
                changed(state)

        for future in [pool.submit(one, state) for state in states]:
            future.result()


@contextmanager
def _shown(states: Sequence[SeedRun], quiet: bool) -> Iterator[Callable[[SeedRun], None]]:
    from plastic.cli.output import console, on_terminal

    if quiet:
        yield lambda state: None
    elif on_terminal():
        from rich.live import Live

        with Live(standing(states), console=console(), refresh_per_second=2, transient=True) as live:
            yield lambda state: live.update(standing(states))
    else:
        yield lambda state: print(f"seed {state.seed}: {state.said}", flush=True)
