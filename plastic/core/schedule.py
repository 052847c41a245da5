"""When something happens: a clock that counts, and schedules that read it."""

from abc import ABC, abstractmethod
from typing import Any, Literal, get_args

from attrs import Attribute, define, evolve, field, frozen, validators

Unit = Literal["updates", "agent_steps", "frames", "episodes"]
UNITS: tuple[Unit, ...] = get_args(Unit)


def _whole(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if type(value) is not int:  # true is an int to isinstance
        raise ValueError(f"{attribute.name} must be an integer, not {value!r}")


def _known_unit(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value not in UNITS:
        raise ValueError(f"a unit is one of {', '.join(UNITS)}, not {value!r}")


_counts = validators.and_(_whole, validators.ge(0))


@frozen
class Counts:
    """How far a run is.

    An agent step is one action; a frame is one tick of the emulator or the physics, so an agent
    step is as many frames as an action is repeated.
    """

    updates: int = field(default=0, validator=_counts)
    agent_steps: int = field(default=0, validator=_counts)
    frames: int = field(default=0, validator=_counts)
    episodes: int = field(default=0, validator=_counts)

    def of(self, unit: Unit) -> int:
        """The count of one unit."""
        count: int = getattr(self, unit)
        return count


@define
class Clock:
    """Counts of a run, what they were at the last tick, and what they will be at its end.

    A schedule asks what was *passed* since the last tick, so it fires once per crossing whatever
    the unit: with two updates per agent step a schedule in agent steps does not fire twice, with
    one update in two agent steps it misses nothing.
    """

    now: Counts = Counts()
    before: Counts = Counts()
    total: Counts = Counts()  # of the whole run; 0 where it cannot be known (episodes)

    def advance(self, *, updates: int = 0, agent_steps: int = 0, frames: int = 0, episodes: int = 0) -> None:
        """Count on."""
        now = self.now
        self.now = Counts(
            now.updates + updates,
            now.agent_steps + agent_steps,
            now.frames + frames,
            now.episodes + episodes,
        )

    def tick(self) -> None:
        """Everything up to now has been seen by the schedules."""
        self.before = evolve(self.now)

    @property
    def last_update(self) -> bool:
        """Whether no update follows this one."""
        return 0 < self.total.updates <= self.now.updates


class Schedule(ABC):
    """A frozen attrs class that says whether something is due."""

    @abstractmethod
    def __call__(self, clock: Clock) -> bool:
        """Whether it is due at this tick of the clock."""

    @abstractmethod
    def __str__(self) -> str:
        """In words, for the plan."""

    def times(self, total: Counts) -> int | None:
        """How often it is due in a run of `total`; None where nobody knows, as with episodes.

        As if learning began with the run: agent steps and frames are spread evenly over the updates. Here each
        update is asked about; those below answer by arithmetic.
        """
        clock = Clock(total=total)
        due = 0
        for update in range(1, total.updates + 1):
            clock.now = Counts(
                update, total.agent_steps * update // total.updates, total.frames * update // total.updates
            )
            due += self(clock)
            clock.tick()
        return due


def _period_valid(instance: Any, attribute: "Attribute[Any]", value: int) -> None:
    if value < 1:
        raise ValueError(f"a period is at least 1, not {value}")


def _countable_from_end(instance: Any, attribute: "Attribute[Any]", value: int | None) -> None:
    if value is not None and value < 0 and instance.of == "episodes":
        raise ValueError(f"{attribute.name} cannot count episodes from the end: nobody knows how many a run will have")


@frozen
class Every(Schedule):
    """Each time the count passes a multiple of `period`, counted from `start` (exclusive) to `stop`.

    A negative `start` or `stop` counts from the end of the run.

    >>> clock = Clock(total=Counts(updates=10))
    >>> due = []
    >>> for update in range(1, 11):
    ...     clock.advance(updates=1)
    ...     if Every(3, of="updates")(clock):
    ...         due.append(update)
    ...     clock.tick()
    >>> due
    [3, 6, 9]
    """

    period: int = field(validator=[_whole, _period_valid])
    of: Unit = field(default="updates", validator=_known_unit)
    start: int = field(default=0, validator=[_whole, _countable_from_end])
    stop: int | None = field(default=None, validator=[validators.optional(_whole), _countable_from_end])

    def __call__(self, clock: Clock) -> bool:
        total = clock.total.of(self.of)
        start = self.start if self.start >= 0 else max(0, total + self.start)
        now = clock.now.of(self.of) - start
        if self.stop is not None:
            stop = self.stop if self.stop >= 0 else max(0, total + self.stop)
            now = min(now, stop - start)
        before = max(clock.before.of(self.of) - start, 0)
        return now // self.period > before // self.period

    def times(self, total: Counts) -> int | None:
        """See `Schedule.times`; at most once an update.

        >>> Every(1_000, start=-40_000).times(Counts(updates=196_002))
        40
        """
        end = total.of(self.of)
        if self.of == "episodes":
            return None
        start = self.start if self.start >= 0 else max(0, end + self.start)
        stop = end if self.stop is None else min(end, self.stop if self.stop >= 0 else max(0, end + self.stop))
        return min(max(0, stop - start) // self.period, total.updates)

    def __str__(self) -> str:
        unit = self.of.replace("_", " ")
        text = f"every {self.period:,} {unit}" if self.period > 1 else f"every {unit[:-1]}"
        if self.start:
            text += f" after {self.start:,}" if self.start > 0 else f" in the last {-self.start:,}"
        if self.stop is None:
            return text
        return f"{text}, to {self.stop:,}" if self.stop >= 0 else f"{text}, to {-self.stop:,} before the end"


def _count_valid(instance: Any, attribute: "Attribute[Any]", value: int) -> None:
    if value < 1:
        raise ValueError(f"a count is at least 1, not {value}")


@frozen
class At(Schedule):
    """Once, when the count reaches `count`."""

    count: int = field(validator=[_whole, _count_valid])
    of: Unit = field(default="updates", validator=_known_unit)

    def __call__(self, clock: Clock) -> bool:
        return clock.before.of(self.of) < self.count <= clock.now.of(self.of)

    def times(self, total: Counts) -> int | None:
        """See `Schedule.times`."""
        return None if self.of == "episodes" else int(self.count <= total.of(self.of))

    def __str__(self) -> str:
        return f"once at {self.count:,} {self.of.replace('_', ' ')}"


@frozen
class Always(Schedule):
    """At every tick."""

    def __call__(self, clock: Clock) -> bool:
        return True

    def times(self, total: Counts) -> int | None:
        """See `Schedule.times`."""
        return total.updates

    def __str__(self) -> str:
        return "always"


@frozen
class Never(Schedule):
    """At none: the plugin is there and rests."""

    def __call__(self, clock: Clock) -> bool:
        return False

    def times(self, total: Counts) -> int | None:
        """See `Schedule.times`."""
        return 0

    def __str__(self) -> str:
        return "never"
