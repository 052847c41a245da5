"""Updates that are owed to the replay ratio, and with them the number that a run makes in all."""

from attrs import define, evolve

from plastic.core.schedule import Clock

_CREDIT = 1e-9  # so that ten tenths of an update are one


@define(eq=False)
class Owed:
    """Counts the updates owed for each agent step, in fractions, and keeps the clock's total of updates.

    >>> from plastic.core.schedule import Counts
    >>> owed = Owed(Clock(total=Counts(agent_steps=10)), first=1, ratio=0.3)
    >>> owed.reckon()
    >>> owed.clock.total.updates
    3

    Attributes:
        clock: Of the run; its total of agent steps says how long that is.
        first: Agent step that the first update follows, as `Agent.learning_starts`.
        ratio: Updates per agent step.
        credit: Updates owed; less than one once those that `after_step` named are made.
    """

    clock: Clock
    first: int
    ratio: float
    credit: float = 0.0

    def after_step(self, ratio: float) -> int:
        """How many updates to make after the agent step just counted.

        Where the ratio was tuned, the run's last update moves, and so do the schedules that count from it.
        """
        self.credit += ratio
        if ratio != self.ratio:
            self.ratio = ratio
            self.reckon()
        whole = int(self.credit + _CREDIT)
        self.credit -= whole
        return whole

    def take_up(self, credit: float, ratio: float) -> None:
        """Go on from a checkpoint, whose counts the clock has, with the updates owed there and the ratio as tuned."""
        self.credit, self.ratio = credit, ratio
        self.reckon()

    def reckon(self) -> None:
        """Tell the clock the total: the updates made, those owed, and those of the steps that are left."""
        now, total = self.clock.now, self.clock.total
        left = max(0, total.agent_steps - max(now.agent_steps, self.first - 1, 0))
        updates = now.updates + int(self.credit + left * self.ratio + _CREDIT)
        self.clock.total = evolve(total, updates=updates)
