"""The most memory of a GPU that something takes."""

import gc

import torch
from attrs import field, frozen


@frozen
class Peak:
    """Counts what PyTorch reserves from its making on; one at a time, since the GPU's own mark is set back.

    What is allocated would be less than the truth: a CUDA graph keeps memory for what lies between its operations, and
    that counts as free once it is recorded, though nobody else is given it.
    """

    device: torch.device
    _before: int = field(init=False)  # bytes

    @_before.default
    def _start(self) -> int:
        if self.device.type != "cuda":
            return 0
        torch.cuda.init()  # the mark cannot be set back before
        gc.collect()  # learners refer to themselves; what they held would be lent to this one, and not counted
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_reserved(self.device)

    def megabytes(self) -> float | None:
        """The most that was reserved at a time beyond what was there before, in 10^6 bytes; None on a CPU."""
        if self.device.type != "cuda":
            return None
        return (torch.cuda.max_memory_reserved(self.device) - self._before) / 1e6
