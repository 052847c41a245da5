"""`plastic run --seeds 0-9`: a run with several seeds, each a process of its own, as many as the machine takes."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field
from rich.console import RenderableType
from rich.table import Table

from plastic.core.errors import UsageError

if TYPE_CHECKING:
    from plastic.core.recipes.recipe import Recipe

_MOST = 1_000
_TELLING = ("plastic: ", "random actions", "training", "evaluation", "final evaluation", "score")  # lines of a run
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


@define
class _Seed:
    """One seed's run, from outside."""

    seed: int
    folder: Path
    said: str = "waits"
    code: int | None = None
    process: "subprocess.Popen[str] | None" = field(default=None, repr=False)

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.code == 0


@define(eq=False)
class _Signals:
    """Hands a first Ctrl-C or SIGTERM on, so that each run stops with a checkpoint; a second ends them at once."""

    seeds: Sequence[_Seed]
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
    seeds: Sequence[int],
    out: Path | None,
    arguments: Sequence[str],
    together: int | None,
    quiet: bool,
) -> int:
    """Carry out a recipe with each seed in a process of its own; the exit code.

    Args:
        wanted: The recipe; its own seed does not count.
        seeds: In the order they begin.
        out: A new folder, in which each run has one named by its seed; None is the next free one under runs/.
        arguments: Of `plastic run`, for every one of them.
        together: How many at a time; None is as many as the machine takes, see `plastic.cli.at_once`.
        quiet: Print the results alone.

    Raises:
        UsageError: If the recipe does not fit; nothing is begun then.
    """
    from plastic.cli.output import show
    from plastic.core.runs.run_folder import new_folder

    env, at_once = how_many(wanted, seeds, together)
    parent = new_folder(out, f"{wanted.agent.split(':')[-1]}-{env.split('/')[-1]}-seeds")
    if not quiet:
        show(f"{len(seeds)} seeds, {at_once} at a time")
    states = [_Seed(seed, parent / f"s{seed}") for seed in seeds]
    signals = _Signals(states)
    with tempfile.TemporaryDirectory() as scratch, signals.caught():
        recipe = Path(scratch) / "recipe.toml"
        recipe.write_text(evolve(wanted, seed=0).toml(), encoding="utf-8")
        _carry_out(states, recipe, arguments, at_once, signals, quiet)
    show(_results(states))
    for one in states:
        if one.code is not None and not one.done:
            print(f"plastic: seed {one.seed}: {one.said}", file=sys.stderr)
    if signals.first is not None:
        return 128 + signals.first
    return 0 if all(one.done for one in states) else 1


def how_many(wanted: "Recipe", seeds: Sequence[int], together: int | None) -> tuple[str, int]:
    """The environment's full name, and how many of the runs go on at a time; arguments as of `run_seeds`.

    Raises:
        UsageError: If the recipe does not fit.
    """
    if together is not None and together < 1:
        raise UsageError(f"together must be at least 1, not {together}")
    env, most = _fitting(wanted)
    return env, min(len(seeds), together or most)


def _fitting(wanted: "Recipe") -> tuple[str, int]:
    """The environment's full name, and how many such runs the machine takes at a time.

    A GPU is asked by another process, which takes its context with it, some hundreds of megabytes that the runs need.
    """
    if not wanted.device.startswith("cuda"):
        found = _asked(wanted)
    else:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(_asked, wanted).result()
    if isinstance(found, str):
        raise UsageError(found)
    return found


def _asked(wanted: "Recipe") -> tuple[str, int] | str:
    """Or why the recipe does not fit, in words: what an error carries with it may not go from process to process."""
    import torch

    from plastic.cli.at_once import allocated, at_once, cores, room
    from plastic.cli.packages import registry
    from plastic.core.recipes.assemble import assemble

    try:
        assembly = assemble(wanted, registry())
    except UsageError as error:
        return str(error)
    assembly.env.close()
    device, env, threads = torch.device(wanted.device), assembly.recipe.env, assembly.settings.threads
    run = allocated(device)
    del assembly  # what it holds of a GPU is the runs'
    return env, at_once(cores(), threads, room(device, run))


def _carry_out(
    states: Sequence[_Seed], recipe: Path, arguments: Sequence[str], at_once: int, signals: _Signals, quiet: bool
) -> None:
    with _shown(states, quiet) as changed, ThreadPoolExecutor(at_once) as pool:

        def one(state: _Seed) -> None:
            if signals.first is not None:
                return
            command = [sys.executable, "-P", "-c", _CHILD, "run", "--config", str(recipe), "--seed", str(state.seed)]
            command += ["--out", str(state.folder), *arguments]
            # in a session of its own: a terminal's Ctrl-C reaches it through us alone, and once
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            ) as state.process:
                if signals.first is not None:  # that came between the question and the start
                    state.process.send_signal(signals.first)
                assert state.process.stdout is not None
                for line in state.process.stdout:
                    if line.startswith(_TELLING):
                        state.said = " ".join(line.removeprefix("plastic: ").split())
                        changed(state)
            state.code = state.process.returncode

        for future in [pool.submit(one, state) for state in states]:
            future.result()


@contextmanager
def _shown(states: Sequence[_Seed], quiet: bool) -> Iterator[Callable[[_Seed], None]]:
    from plastic.cli.output import console, on_terminal

    if quiet:
        yield lambda state: None
    elif on_terminal():
        from rich.live import Live

        with Live(_standing(states), console=console(), refresh_per_second=2, transient=True) as live:
            yield lambda state: live.update(_standing(states))
    else:
        yield lambda state: print(f"seed {state.seed}: {state.said}", flush=True)


def _standing(states: Sequence[_Seed]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for state in states:
        table.add_row(f"seed {state.seed}", state.said)
    return table


def _results(states: Sequence[_Seed]) -> RenderableType:
    from plastic.cli.wording import score

    found = {state.seed: _result(state) for state in states}
    scaled = any(result.get("normalised") is not None for result in found.values())
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("seed", "score", *(("normalised",) if scaled else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("folder", overflow="fold")
    for state in states:
        values = [found[state.seed].get(key) for key in ("mean", *(("normalised",) if scaled else ()))]
        table.add_row(str(state.seed), *("" if value is None else score(value) for value in values), str(state.folder))
    means = [result["mean"] for result in found.values() if result.get("mean") is not None]
    if len(means) > 1:
        reach = f"from {score(min(means))} to {score(max(means))}"
        table.add_row("mean", score(sum(means) / len(means)), *([""] if scaled else []), reach)
    return table


def _result(state: _Seed) -> dict[str, Any]:
    path = state.folder / "result.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if state.done and path.exists() else {}
