"""What is measured, part by part. Each part says what it found as soon as it has found it, so that nothing is lost.

Each runs in a process of its own, `python -m tests.benchmarks.gpu.measured PART ...`: an error on a GPU spoils the
process it happens in, and a part that takes too long can be ended.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from attrs import asdict, define, evolve, field, frozen

from plastic.bench.kernels import dispatched
from plastic.bench.peak import Peak
from plastic.bench.play import Play, random_play
from plastic.bench.turns import Quartiles, Timed, take_turns
from plastic.bench.workload import Workload
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from plastic.core.runs.run_folder import read_timing

STRETCH = 20  # updates one behind the other, with a wait at the end alone
WARMED = 3  # times each is done before it is timed: the first is carried out, the second recorded
FIRST = 6  # updates, in which recordings are made and everything takes the memory it needs
TOGETHER = 10  # seeds
_BEGUN = 0.75  # of the time for runs side by side; by then all must be learning
TRIED = 2.0  # seconds, where the script alone is tried
TINY_PIXELS: Mapping[str, Any] = {"batch_size": 4, "replay_capacity": 1_000, "learning_starts": 100}
TINY: Mapping[str, Any] = {**TINY_PIXELS, "hidden": 8}


@define
class Site:
    """Where and how long to measure, and whom to tell.

    Attributes:
        device: `cpu` or `cuda`.
        until: When it should be through, in seconds since the epoch.
        tiny: Small networks and tasks, to try the script itself.
        mps: Try the Multi-Process Service, too.
        into: The file that what was found goes into.
        found: By name.
    """

    device: str
    until: float
    tiny: bool
    mps: bool
    into: Path
    found: dict[str, Any] = field(factory=dict)
    registry: Registry = field(factory=lambda: Registry().load())

    def say(self, name: str, value: Any) -> None:
        """Keep it, from now on whatever happens."""
        self.found[name] = value
        new = self.into.with_suffix(".new")
        new.write_text(json.dumps(self.found), encoding="utf-8")
        new.replace(self.into)

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """What fails inside is said, and ends nothing else."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.say(name, {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"})

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self.until - time.time())

    def share(self, part: float) -> float:
        """Seconds to time something in: a part of what is left, and little where the script alone is tried."""
        return min(TRIED, part * self.left) if self.tiny else part * self.left

    @property
    def modes(self) -> Sequence[str]:
        """How updates are carried out; recording is for GPUs."""
        return ("eager", "captured") if self.device == "cuda" else ("eager",)


@frozen(eq=False)
class Subject:
    """An agent that is timed.

    Attributes:
        workload: It.
        stretch: Updates back to back.
        run: As many as a run makes between two actions, with a wait behind them.
        gpu_megabytes: The most it takes on a GPU.
    """

    workload: Workload
    stretch: Timed
    run: Timed
    gpu_megabytes: float | None

    @classmethod
    def of(cls, recipe: Recipe, registry: Registry, play: Play) -> "Subject":
        """Assemble it, and let it make its first updates."""
        peak = Peak(torch.device(recipe.device))
        workload = Workload.of(recipe, registry, play)
        updates = STRETCH if recipe.device == "cuda" else 1

        def stretch() -> None:
            for _ in range(updates):
                workload.update()
            workload.settle()

        for _ in range(FIRST if recipe.device == "cuda" else 1):
            workload.update()
        workload.settle()
        return cls(workload, Timed(stretch, updates), Timed(workload, workload.stretch), peak.megabytes())

    def found(self) -> dict[str, Any]:
        """Everything about it, in milliseconds and 10^6 bytes."""
        asked = dispatched(self.workload)
        kernels = {} if asked.kernels is None else {f"kernels_{k}": v for k, v in asdict(asked.kernels).items()}
        return {
            "ms": _milliseconds(self.stretch),
            "ms_with_waits": _milliseconds(self.run),
            "operations": asked.operations,
            **kernels,
            "learner_mb": self.workload.megabytes(),
            "gpu_mb": self.gpu_megabytes,
        }


def updates(site: Site) -> None:
    """Rainbow bare, with sam, and with the preset of the paper, eager and captured; acting."""
    base = Recipe(env="CartPole-v1" if site.tiny else "ALE/Pong-v5", device=site.device)
    base = evolve(base, settings=TINY) if site.tiny else base
    recipes = {"bare": base, "sam": evolve(base, plugins=(Chosen("sam"),))}
    if not site.tiny:
        recipes["plastic"] = evolve(base, preset="plastic")
    compare(site, recipes, first=True)


def control(site: Site) -> None:
    """SAC from states and from pixels, eager and captured."""
    base = Recipe(agent="sac", env="cheetah-run", device=site.device)
    if site.tiny:
        compare(site, {"sac": evolve(base, env="Pendulum-v1", settings=TINY)})
        return
    pixels: dict[str, Any] = {"render": "ray"}  # needs no library that a machine without a display may lack
    pixels |= {"batch_size": 16} if site.device == "cpu" else {}
    compare(site, {"sac": base, "sac from pixels": evolve(base, preset="drq", settings=pixels)})


def compare(site: Site, recipes: Mapping[str, Recipe], *, first: bool = False) -> None:
    """Time every recipe in every mode by turns, and say each one's times, kernels and memory, then the ratios.

    Args:
        site: Where.
        recipes: By name.
        first: Whether all are set against the first of them, too.
    """
    subjects: dict[str, Subject] = {}
    plays: dict[str, Play] = {}
    for name, recipe in recipes.items():
        for mode in site.modes:
            with site.trying(f"{name} {mode}"):
                settings = {**recipe.settings, **({"capture": True} if mode == "captured" else {})}
                wanted = evolve(recipe, settings=settings)
                if name not in plays:
                    plays[name] = _play(wanted, site.registry)
                subjects[f"{name} {mode}"] = Subject.of(wanted, site.registry, plays[name])
    acting: dict[str, tuple[Timed, Timed]] = {}
    for name, subject in list(subjects.items()):
        with site.trying(name):
            pair = _acting(subject, plays[name.rpartition(" ")[0]])
            for one in (subject.stretch, subject.run, *pair) if site.device == "cuda" else ():
                for _ in range(WARMED):
                    one.work()
            acting[name] = pair
    subjects = {name: subjects[name] for name in acting}
    timed = [one for subject in subjects.values() for one in (subject.stretch, subject.run)]
    timed += [one for pair in acting.values() for one in pair]
    site.say("rounds", take_turns(timed, site.share(0.6)))
    for name, subject in subjects.items():
        act, evaluate = acting[name]
        with site.trying(name):
            more = {"acting_ms": _milliseconds(act), "evaluating_ms": _milliseconds(evaluate)}
            site.say(name, {**more, **subject.found()})
    names = list(recipes)
    pairs = [(f"{name} eager", f"{name} captured") for name in names]
    if first:
        pairs += [(f"{name} {mode}", f"{names[0]} {mode}") for name in names[1:] for mode in site.modes]
    site.say(
        "ratios",
        {
            f"{one} / {other}": asdict(subjects[one].stretch.over(subjects[other].stretch))
            for one, other in pairs
            if one in subjects and other in subjects
        },
    )


def _play(recipe: Recipe, registry: Registry) -> Play:
    settings = {name: value for name, value in recipe.settings.items() if name != "capture"}
    whole = assemble(evolve(recipe, settings=settings, device="cpu"), registry)
    try:
        return random_play(whole.env, recipe.seed)
    finally:
        whole.env.close()


def _acting(subject: Subject, play: Play) -> tuple[Timed, Timed]:
    """One action in training, and eight side by side as in an evaluation; both wait for the device by themselves."""
    observation = play.seen[-1].observation
    policy = subject.workload.assembly.agent.policy(torch.Generator())
    eight = np.stack([observation] * 8)
    return Timed(lambda: subject.workload.act(observation)), Timed(lambda: policy(eight))


def _milliseconds(timed: Timed) -> dict[str, float]:
    return {name: 1e3 * seconds for name, seconds in asdict(Quartiles.of(timed.seconds)).items()}


def seeds(site: Site) -> None:
    """Runs of the preset of the paper: one by itself, then ten that share the machine, and what they train a second."""
    if site.device == "cpu":
        plan = [(1, "eager", 0.4), (2, "eager", 0.6)]
    else:
        plan = [(1, "captured", 0.18), (TOGETHER, "captured", 0.4)]
        if site.mps:
            plan += [(TOGETHER, "captured, with MPS", 0.4)]
        else:
            plan += [(1, "eager", 0.15), (TOGETHER, "eager", 0.27)]
    seconds = site.left
    for count, how, share in plan:
        what = f"{count} {how}"
        service: AbstractContextManager[Mapping[str, str]] = _mps() if "MPS" in how else nullcontext({})
        with site.trying(what), service as more:
            found = side_by_side(site, count, share * seconds, captured="captured" in how, environment=more)
            site.say(what, asdict(found))


@frozen
class Trained:
    """What runs did side by side.

    Attributes:
        runs: How many.
        steps_a_second: Agent steps of all, updates and environments included.
        seconds: Of the window they were watched in, all of them learning.
        began: Seconds until the last of them was learning.
        gpu_mb: Used on the GPU by all together, in 10^6 bytes, as nvidia-smi says; None on a CPU.
    """

    runs: int
    steps_a_second: float
    seconds: float
    began: float
    gpu_mb: float | None


def side_by_side(site: Site, count: int, seconds: float, *, captured: bool, environment: Mapping[str, str]) -> Trained:
    """Begin runs as `plastic run` does, watch them while all are learning, and end them."""
    said: dict[str, Any] = {"log_every": 100, "checkpoint_every": 10**9, "eval_episodes": 0}
    said |= {"log_every": 10, "learning_starts": 100} if site.device == "cpu" else {}
    said |= TINY if site.tiny else {}
    said |= {"capture": True} if captured else {}
    arguments = ["run", "--env", "CartPole-v1" if site.tiny else "ALE/Pong-v5", "--device", site.device, "--quiet"]
    arguments += [] if site.tiny else ["--preset", "plastic"]
    arguments += ["--set", *(f"{name}={str(value).lower()}" for name, value in said.items())]
    program = "import sys; from plastic.cli.main import main; sys.exit(main())"
    processes: list[subprocess.Popen[bytes]] = []
    with TemporaryDirectory() as scratch:
        folders = [Path(scratch) / f"s{seed}" for seed in range(count)]
        began = time.monotonic()
        try:
            for seed, folder in enumerate(folders):
                words = [sys.executable, "-P", "-c", program, *arguments, "--seed", str(seed), "--out", str(folder)]
                with (Path(scratch) / f"{seed}.log").open("wb") as log:
                    processes.append(subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, **environment}))
            while not all(learning(folder) for folder in folders):
                _refuse_ended(processes, Path(scratch))
                if time.monotonic() - began > _BEGUN * seconds:
                    raise TimeoutError(f"after {_BEGUN * seconds:.0f} s not all of {count} runs were learning")
                time.sleep(0.05)
            ready = time.monotonic() - began
            marks = [len(read_timing(folder / "timing.csv")) for folder in folders]
            end = ready + TRIED if site.tiny else seconds
            while time.monotonic() - began < end:
                time.sleep(0.05)
            used = _gpu_megabytes() if site.device == "cuda" else None
            _refuse_ended(processes, Path(scratch))
            rows = [read_timing(folder / "timing.csv") for folder in folders]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    rates = [rate(one[mark - 1 :]) for one, mark in zip(rows, marks, strict=True)]
    return Trained(count, sum(rates), end - ready, ready, used)


def learning(folder: Path) -> bool:
    """Whether a run has made updates between the last two rows of its timing, so that what comes is steady."""
    path = folder / "timing.csv"
    rows = read_timing(path) if path.exists() else []
    return len(rows) > 1 and int(rows[-2]["updates"] or 0) > 0


def rate(rows: Sequence[Mapping[str, str]]) -> float:
    """Agent steps a second between the first and the last row of a run's timing.

    >>> rate([{"agent_steps": "100", "seconds": "2.0"}, {"agent_steps": "160", "seconds": "5.0"}])
    20.0
    """
    if len(rows) < 2:
        raise TimeoutError("a run wrote nothing down in the time there was")
    steps = int(rows[-1]["agent_steps"]) - int(rows[0]["agent_steps"])
    return steps / (float(rows[-1]["seconds"]) - float(rows[0]["seconds"]))


def _refuse_ended(processes: Sequence["subprocess.Popen[bytes]"], scratch: Path) -> None:
    for place, process in enumerate(processes):
        if process.poll() is not None:
            log = (scratch / f"{place}.log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"run {place} ended with {process.returncode}: {log[-300:]}")


def _gpu_megabytes() -> float | None:
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return float(answer.splitlines()[0]) * 2**20 / 1e6


@contextmanager
def _mps() -> Iterator[Mapping[str, str]]:
    """A Multi-Process Service of our own: what to have in the environment so that a process finds it."""
    with TemporaryDirectory() as scratch:
        places = {"CUDA_MPS_PIPE_DIRECTORY": f"{scratch}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{scratch}/log"}
        environment = {**os.environ, **places}
        for place in places.values():
            Path(place).mkdir()
        subprocess.run(["nvidia-cuda-mps-control", "-d"], env=environment, timeout=20, check=True)
        try:
            yield places
        finally:
            subprocess.run(["nvidia-cuda-mps-control"], input=b"quit\n", env=environment, timeout=20, check=False)


def streams(site: Site) -> None:
    """Updates of one agent, and of ten in one process by turns, each on a stream of its own."""
    recipe = Recipe(env="CartPole-v1" if site.tiny else "ALE/Pong-v5", device=site.device)
    settings = {"replay_capacity": 10_000, **(TINY if site.tiny else {})}
    recipe = evolve(recipe, settings={**settings, **({"capture": True} if "captured" in site.modes else {})})
    play = _play(recipe, site.registry)
    count = TOGETHER if site.device == "cuda" else 2
    several = [Workload.of(evolve(recipe, seed=seed), site.registry, play) for seed in range(count)]
    on: list[Any] = [torch.cuda.Stream() if site.device == "cuda" else None for _ in several]
    several[0].settle()  # what was made on one stream is there before others read it

    def round_of(count: int) -> Callable[[], None]:
        def once() -> None:
            for _ in range(STRETCH if site.device == "cuda" else 1):
                for workload, stream in zip(several[:count], on, strict=False):
                    with torch.cuda.stream(stream):
                        workload.update()
            several[0].settle()

        return once

    times = STRETCH if site.device == "cuda" else 1
    one, all_ = Timed(round_of(1), times), Timed(round_of(len(several)), times)
    for _ in range(FIRST):
        all_()
    all_.seconds.clear()
    site.say("rounds", take_turns([one, all_], site.share(0.6)))
    site.say(
        "updates_a_second",
        {"1": 1 / one.median, str(len(several)): len(several) / all_.median},
    )


def bench(site: Site) -> None:
    """What `plastic bench` says of the preset of the paper: a whole run's hours with the card for itself."""
    from plastic.bench.costs import measure  # noqa: PLC0415  (of this part alone)
    from plastic.report.costs_json import as_json  # noqa: PLC0415

    wanted = Recipe(env="ALE/Pong-v5", preset="plastic", device=site.device)
    if site.tiny:
        wanted = Recipe(env="CartPole-v1", plugins=(Chosen("sam"),), settings=TINY)
    if "captured" in site.modes:
        wanted = evolve(wanted, settings={"capture": True})
    costs = measure(wanted, site.registry, seconds=site.share(0.5))
    site.say("costs", as_json(costs))


PARTS: Mapping[str, Callable[[Site], None]] = {
    "updates": updates,
    "seeds": seeds,
    "bench": bench,
    "control": control,
    "streams": streams,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--device", required=True)
    parser.add_argument("--until", type=float, required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--mps", action="store_true")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    site = Site(arguments.device, arguments.until, arguments.tiny, arguments.mps, arguments.into)
    PARTS[arguments.part](site)
    return 0


if __name__ == "__main__":
    sys.exit(main())
