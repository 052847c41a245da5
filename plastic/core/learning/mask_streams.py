"""The random streams of dropout's masks."""

from collections.abc import Iterator

import torch
from attrs import define, field

from plastic.core.layers.dropout import Stream
from plastic.core.streams import derive


@define(eq=False)
class MaskStreams:
    """Where dropout draws its masks from in a learner's updates.

    Loss and target have a stream each, begun again at each update and whenever noise is redrawn. Evaluations on the
    same noise draw the same masks, each from a generator of its own. Generators are kept from update to update,
    because a recorded update (`plastic.core.recording.capture`) draws from those that it was recorded with.
    """

    seed: int
    learner: str
    _update: int = 0
    _evaluations: dict[tuple[str, int], int] = field(factory=dict)  # so far in this update
    _generators: dict[tuple[str, int, int, torch.device], torch.Generator] = field(factory=dict)

    def __iter__(self) -> Iterator[torch.Generator]:
        """Every generator that something was ever drawn with."""
        return iter(self._generators.values())

    def begin(self, update: int) -> None:
        """All streams begin again, as this update has them."""
        self._update = update
        self._evaluations.clear()
        for (part, draws, _, _), generator in self._generators.items():
            generator.manual_seed(self.seed_of(part, draws))

    def of(self, part: str, draws: int) -> Stream:
        """For one more evaluation of this part of the update, on noise that has been drawn so many times."""
        evaluation = self._evaluations.get((part, draws), 0)
        self._evaluations[part, draws] = evaluation + 1

        def on(device: torch.device) -> torch.Generator:
            key = part, draws, evaluation, device
            if key not in self._generators:
                self._generators[key] = torch.Generator(device).manual_seed(self.seed_of(part, draws))
            return self._generators[key]

        return on

    def seed_of(self, part: str, draws: int) -> int:
        """Where the stream of this part begins; for what can draw from torch's global generator alone."""
        return derive(self.seed, self.learner, "masks", self._update, part, draws)
