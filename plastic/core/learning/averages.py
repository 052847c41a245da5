"""What is logged of updates: sums that stay on the device until somebody reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_NORM, _LAST_NORM = "gradient_norm", "gradient_norm_last"


class Averages:
    """Means of losses, gradient norms and an objective's notes, and for how many updates all was finite.

    What is noted together is summed in one vector, whose last entry counts; it is written in place, so that a
    recorded update (`plastic.core.recording.capture`) goes on writing it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._finite = torch.zeros((), dtype=torch.long, device=device)  # updates before the first bad one
        self._one = torch.ones((), device=device)
        self._sums: dict[tuple[str, ...], Tensor] = {}  # [names + 1]

    def note(self, losses: Tensor, norms: Sequence[Tensor], notes: Mapping[str, Tensor]) -> None:
        """Count an update in, without waiting for the device.

        Args:
            losses: Of its first evaluation, [B].
            norms: Of the gradients, before clipping, one an evaluation; none where nothing was clipped.
            notes: Scalars of the objective.
        """
        values = {"loss": losses.mean(), **notes}
        if norms:
            values[_NORM] = norms[0]
        if len(norms) > 1:  # where a modifier evaluated elsewhere (SAM), the norm of what was stepped with
            values[_LAST_NORM] = norms[-1]
        sums = self._of(tuple(values))
        sums.add_(torch.stack([*values.values(), self._one]))
        # what is not finite stays in a sum, and minus itself it is not 0; torch.isfinite is four operations
        total = sums.sum()
        self._finite += (total - total) == 0

    def _of(self, names: tuple[str, ...]) -> Tensor:
        if names not in self._sums:
            self._sums[names] = torch.zeros(len(names) + 1, device=self._device)
        return self._sums[names]

    def take(self) -> dict[str, float]:
        """The means since the last call; waits for the device."""
        totals: dict[str, float] = {}
        terms: dict[str, float] = {}
        for names, sums in self._sums.items():
            *values, count = sums.tolist()
            for name, value in zip(names, values, strict=True) if count else ():
                totals[name] = totals.get(name, 0.0) + value
                terms[name] = terms.get(name, 0.0) + count
            sums.zero_()
        return {name: total / terms[name] for name, total in totals.items()}

    def finite(self) -> int:
        """How many updates there were before the first that was not finite; waits for the device."""
        return int(self._finite)

    def state_dict(self) -> dict[str, Any]:
        """Tensors by what they are sums of."""
        return {"finite": self._finite, "sums": {" ".join(names): sums for names, sums in self._sums.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called."""
        self._finite.copy_(state["finite"])
        for sums in self._sums.values():
            sums.zero_()
        for names, sums in state["sums"].items():
            self._of(tuple(names.split(" "))).copy_(sums)
