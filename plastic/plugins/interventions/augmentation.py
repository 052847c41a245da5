"""Switching augmentation off or on while training."""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from plastic.core.edits import Edit, Tune
from plastic.core.intervention import PlasticityIntervention
from plastic.core.plugin import LIVE
from plastic.core.schedule import At, Schedule, Unit
from plastic.core.subject import Subject
from plastic.core.validators import between


@frozen(eq=False)
class Augmentation(PlasticityIntervention):
    """Augment images from the start up to `off_at`, or from `on_at` to the end (Ma et al., 2024, arXiv:2310.07418).

    Both observation and next observation, of critic and actor. Give one of the two moments.

    Attributes:
        off_at: When augmentation ends; the paper has a million frames.
        on_at: When it begins.
        of: What they count: `frames`, `agent_steps`, `updates` or `episodes`.
    """

    name = "augmentation"
    changes = frozenset({"knobs"})
    turns = frozenset({"augmentation"})
    reach = "main"
    off_at: int | None = field(default=None, validator=between(1))
    on_at: int | None = field(default=None, validator=between(1))
    of: Unit = "frames"

    when: Schedule = field(init=False, metadata=LIVE)

    @when.default
    def _moment(self) -> Schedule:
        moment = self.on_at if self.off_at is None else self.off_at
        if moment is None or None not in (self.on_at, self.off_at):
            raise ValueError("give either off_at or on_at")
        return At(moment, self.of)

    def settings(self) -> Mapping[str, Any]:
        """Before that moment it is the other way round."""
        return {"augmentation": self.on_at is None}

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """Turn the knob."""
        yield Tune("augmentation", self.off_at is None)
