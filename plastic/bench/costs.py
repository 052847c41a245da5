"""What plugins cost an agent: per update, at their moments, and over a whole run."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from attrs import define, evolve, field, frozen

from plastic.bench.kernels import Dispatched, dispatched
from plastic.bench.parts import parts
from plastic.bench.peak import Peak
from plastic.bench.play import Play, random_play
from plastic.bench.turns import Quartiles, Timed, take_turns
from plastic.bench.workload import Workload
from plastic.core.plugin import Plugin
from plastic.core.recipes.assemble import Assembly, assemble
from plastic.core.recipes.recipe import Recipe
from plastic.core.recipes.registry import Registry
from plastic.core.schedule import Always, At, Clock, Counts, Schedule

BARE = "bare"
_PARTS = 5  # updates that are taken apart
_ACTIONS = 20  # that are timed
_FIRST = 3  # stretches on a GPU, in which it takes all the memory that it will
_NAMED = 4  # plugins; more are too long for a table

Progress = Callable[[str, float], None]


@frozen
class Moment:
    """What a plugin takes when its schedule says so, beyond the update.

    Attributes:
        plugin: Its name.
        when: Its schedule, in words.
        seconds: Of one moment, all its learners together.
        times: How many the run has; None where nobody knows.
    """

    plugin: str
    when: str
    seconds: float
    times: int | None


@frozen
class Row:
    """One combination of plugins between its plugins' moments; behind those that come once (an injection).

    Attributes:
        name: The plugins, or how many there are of more than four, or `bare`.
        seconds: Of one update.
        ratio: To the bare agent's update, round by round.
        moments: Of its plugins.
        megabytes: That its learners hold, in 10^6 bytes.
        gpu_megabytes: The most that it reserves on a GPU, the replay included, in 10^6 bytes; None on a CPU.
        hours: Of all updates of the run, moments included; None where nobody knows how many those are.
        dispatched: What one update asks of the machine.
    """

    name: str
    seconds: Quartiles
    ratio: Quartiles
    moments: Sequence[Moment]
    megabytes: float
    gpu_megabytes: float | None
    hours: float | None
    dispatched: Dispatched


@frozen
class Costs:
    """What was measured, in seconds by the clock.

    Attributes:
        assembly: The whole combination.
        rows: The bare agent first, the whole combination last.
        parts: Of one update of the combination, by part.
        acting: Choosing one action in training.
        stepping: One agent step of the environment, by random actions.
        observing: Putting one agent step into the replay.
        evaluating: One agent step of an evaluation, its environment included.
        game: Agent steps of a game by random actions.
        whole_game: Whether that game came to its end; if not, games are longer.
        games: That the run evaluates in all.
        rounds: In which everything was timed by turns.
        stretch: Updates between two waits for the device, while updates were timed.
        processor: Share of that time for which this process had a processor: less than 1 on a busy machine, more
            with several threads.
    """

    assembly: Assembly = field(repr=False)
    rows: Sequence[Row]
    parts: Mapping[str, float]
    acting: float
    stepping: float
    observing: float
    evaluating: float
    game: int
    whole_game: bool
    games: int
    rounds: int
    stretch: int
    processor: float

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computed."""
        return self.assembly.recipe.device.startswith("cuda")

    @property
    def captured(self) -> bool:
        """Whether updates were recorded and replayed."""
        return self.assembly.settings.capture

    @property
    def playing_hours(self) -> float:
        """Of acting, the environment and the replay, over the run."""
        return self.assembly.clock.total.agent_steps * (self.acting + self.stepping + self.observing) / 3600

    @property
    def evaluation_hours(self) -> float:
        """Of the run's evaluations, if games are as long as by random actions."""
        return self.games * self.game * self.evaluating / 3600


@define(eq=False)
class _Switch(Schedule):
    """Stands in for a plugin's schedule while it is timed: its moment is when we say so."""

    on: bool = False

    def __call__(self, clock: Clock) -> bool:
        return self.on

    def __str__(self) -> str:
        return "when it is timed"


@frozen(eq=False)
class _Timing:
    """A combination that is being timed; plugins by their places in the recipe."""

    plugins: tuple[int, ...]
    before: Timed  # its moments
    after: Timed  # those that come once; `before` itself if there are none
    moments: Mapping[int, Timed]  # an update with this one's moment, and the next
    gpu_megabytes: float | None  # the most that `after` takes


@frozen(eq=False)
class _Bench:
    recipe: Recipe
    registry: Registry
    play: Play
    device: torch.device
    schedules: Sequence[Schedule | None]  # of the recipe's plugins

    def timing(self, plugins: tuple[int, ...]) -> _Timing:
        peak = Peak(self.device)
        before, switches = self._workload(plugins)
        once = [place for place in switches if isinstance(self.schedules[place], At)]
        moments = {place: Timed(_turned(before, switch)) for place, switch in switches.items() if place not in once}
        for moved in moments.values() if self.device.type == "cuda" else ():
            for _ in range(_FIRST):
                moved.work()  # an update with a modifier's moment may be recorded as one of its own
        rest = Timed(before, before.stretch)
        if not once:
            return _Timing(plugins, rest, rest, moments, peak.megabytes())
        peak = Peak(self.device)
        after, others = self._workload(plugins)
        after()
        for place in once:
            moments[place] = Timed(_turned(after, others[place]))
            moments[place]()  # there will be no other
        return _Timing(plugins, rest, Timed(after, after.stretch), moments, peak.megabytes())

    def _workload(self, plugins: tuple[int, ...]) -> tuple[Workload, dict[int, _Switch]]:
        chosen = tuple(self.recipe.plugins[place] for place in plugins)
        workload = Workload.of(evolve(self.recipe, plugins=chosen), self.registry, self.play)
        switches = {place: _Switch() for place in plugins if self.schedules[place] is not None}
        for place, addressed in zip(plugins, workload.assembly.plugins, strict=True):
            for plugin in addressed.instances.values() if place in switches else ():
                object.__setattr__(plugin, "when", switches[place])  # frozen, for everybody but the bench
        for _ in range(_FIRST if self.device.type == "cuda" else 0):
            workload()
        return workload, switches


def _turned(workload: Workload, switch: _Switch) -> Callable[[], None]:
    def once() -> None:
        switch.on = True
        try:
            workload.update()
        finally:
            switch.on = False
        workload.update()  # some of it may follow: churn compares at the next update
        workload.settle()

    return once


def measure(
    wanted: Recipe,
    registry: Registry,
    *,
    each: bool = False,
    seconds: float = 30.0,
    progress: Progress = lambda what, share: None,
) -> Costs:
    """Time the agent of a recipe bare and with its plugins, by turns.

    Args:
        wanted: The run. The plugins of its preset are among its plugins.
        registry: Where names are looked up.
        each: Time every plugin by itself, too.
        seconds: About how long to take in all; at least three rounds are made.
        progress: Told what is being done, and how much of it is, from 0 to 1.

    Raises:
        UsageError: If the recipe does not fit.
    """
    began = time.perf_counter()
    progress("assembling", 0.0)
    whole = assemble(wanted, registry)
    torch.set_num_threads(whole.settings.threads)
    play = random_play(whole.env, wanted.seed)
    whole.env.close()
    schedules = [_moments_of(one.example) for one in whole.plugins]
    bench = _Bench(whole.recipe, registry, play, torch.device(whole.recipe.device), schedules)
    everything = tuple(range(len(whole.recipe.plugins)))
    shown = list(dict.fromkeys([(), *(((place,) for place in everything) if each else ()), everything]))
    timings = []
    for done, plugins in enumerate(shown):
        progress("assembling", done / len(shown))
        timings.append(bench.timing(plugins))
    turns = [part for timing in timings for part in (timing.before, timing.after, *timing.moments.values())]
    left = max(seconds / 2, seconds - (time.perf_counter() - began))
    clock, processor = time.perf_counter(), time.process_time()
    rounds = take_turns(
        [one for one in dict.fromkeys(turns) if not one.seconds], left, lambda share: progress("timing", share)
    )
    busy = (time.process_time() - processor) / (time.perf_counter() - clock)
    progress("counting", 1.0)
    rows = [_row(whole, timing, timings[0].before, bench.schedules) for timing in timings]
    return _costs(whole, timings[-1].after, play, rows, rounds, busy)


def _moments_of(plugin: Plugin) -> Schedule | None:
    """The schedule of a plugin that is not at work in every update anyway."""
    schedule: Schedule | None = getattr(plugin, "when", None)
    return None if isinstance(schedule, Always) else schedule


def _row(whole: Assembly, timing: _Timing, bare: Timed, schedules: Sequence[Schedule | None]) -> Row:
    total = whole.clock.total
    moments = []
    for place, moved in timing.moments.items():
        schedule, rest = schedules[place], timing.before.beside(bare).median
        assert schedule is not None
        name = whole.plugins[place].example.name
        seconds = max(0.0, moved.beside(bare).median - 2 * rest)
        moments.append(Moment(name, str(schedule), seconds, schedule.times(total)))
    hours: float | None = None
    if all(moment.times is not None for moment in moments):
        ahead = _updates_before_once(timing, schedules, total)
        spent = ahead * timing.before.beside(bare).median + (total.updates - ahead) * timing.after.beside(bare).median
        hours = (spent + sum(moment.seconds * (moment.times or 0) for moment in moments)) / 3600
    workload = timing.after.work
    assert isinstance(workload, Workload)
    return Row(
        name=_name([whole.plugins[place].example.name for place in timing.plugins]),
        seconds=timing.after.beside(bare),
        ratio=timing.after.over(bare),
        moments=moments,
        megabytes=workload.megabytes(),
        gpu_megabytes=timing.gpu_megabytes,
        hours=hours,
        dispatched=dispatched(workload),
    )


def _name(plugins: Sequence[str]) -> str:
    if not plugins:
        return BARE
    return " + ".join(plugins) if len(plugins) <= _NAMED else f"all {len(plugins)} together"


def _updates_before_once(timing: _Timing, schedules: Sequence[Schedule | None], total: Counts) -> int:
    """Updates before the first plugin that acts once does; all of them, where none does within the run."""
    once = [schedule for place in timing.plugins if isinstance(schedule := schedules[place], At)]
    shares = [schedule.count / total.of(schedule.of) for schedule in once if schedule.times(total)]
    return int(min(shares, default=1.0) * total.updates)


def _costs(whole: Assembly, timed: Timed, play: Play, rows: Sequence[Row], rounds: int, processor: float) -> Costs:
    workload = timed.work
    assert isinstance(workload, Workload)
    observation = play.seen[-1].observation
    acting = Timed(lambda: workload.act(observation))
    together = whole.settings.eval_envs
    policy = workload.assembly.agent.policy(torch.Generator())
    judged = Timed(lambda: policy(np.stack([observation] * together)))
    for _ in range(_ACTIONS):
        acting()
        judged()
    every = whole.settings.evaluate_every
    return Costs(
        assembly=whole,
        rows=rows,
        parts=parts(workload, _PARTS),
        acting=acting.median,
        stepping=play.seconds,
        observing=workload.observing,
        evaluating=judged.median / together + play.seconds,
        game=play.steps,
        whole_game=play.game_over,
        games=whole.games * (1 if every is None else 1 + (whole.clock.total.agent_steps - 1) // every),
        rounds=rounds,
        stretch=workload.stretch,
        processor=processor,
    )
