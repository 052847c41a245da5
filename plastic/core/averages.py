"""What is logged of updates: sums that stay on the device until somebody reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_NORM, _LAST_NORM = "gradient_norm", "gradient_norm_last"


class Averages:
    """Means of losses, gradient norms and an objective's notes, and for how many updates all was finite."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._finite = torch.zeros((), dtype=torch.long, device=device)  # updates before the first bad one
        self._sums: dict[str, Tensor] = {}
        self._terms: dict[str, int] = {}

    def note(self, losses: Tensor, norms: Sequence[Tensor], notes: Mapping[str, Tensor]) -> None:
        """Count an update in, without waiting for the device.

        Args:
            losses: Of its first evaluation, [B].
            norms: Of the gradients, before clipping, one an evaluation; none where nothing was clipped.
            notes: Scalars of the objective.
        """
        self._add("loss", losses.mean())
        for key, value in notes.items():
            self._add(key, value)
        if norms:
            self._add(_NORM, norms[0])
        if len(norms) > 1:  # where a modifier evaluated elsewhere (SAM), the norm of what was stepped with
            self._add(_LAST_NORM, norms[-1])
        # what is not finite stays in a sum, and minus itself it is not 0; torch.isfinite is four operations
        total = sum((self._sums[key] for key in (_NORM, _LAST_NORM) if key in self._sums), self._sums["loss"])
        self._finite += (total - total) == 0

    def _add(self, key: str, value: Tensor) -> None:
        self._sums[key] = self._sums[key] + value if key in self._sums else value
        self._terms[key] = self._terms.get(key, 0) + 1

    def take(self) -> dict[str, float]:
        """The means since the last call; waits for the device."""
        means = {key: float(total) / self._terms[key] for key, total in self._sums.items()}
        self._sums.clear()
        self._terms.clear()
        return means

    def finite(self) -> int:
        """How many updates there were before the first that was not finite; waits for the device."""
        return int(self._finite)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        return {"finite": self._finite, "sums": dict(self._sums), "terms": dict(self._terms)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called."""
        self._finite = state["finite"].to(self._device, copy=True)
        self._sums = {key: value.to(self._device) for key, value in state["sums"].items()}
        self._terms = dict(state["terms"])
