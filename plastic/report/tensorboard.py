"""Metrics for TensorBoard."""

from typing import TYPE_CHECKING, Any

from plastic.core.errors import UsageError
from plastic.core.runs.listener import Listener, Record

if TYPE_CHECKING:
    from plastic.core.runs.run import Result, Run

COUNTS = ("updates", "agent_steps", "frames", "episodes")


def scalars(record: Record) -> dict[str, float]:
    """The numbers of a record, each under `kind/name`; counts and lists are left out."""
    kind = record["kind"]
    return {
        f"{kind}/{key}": float(value)
        for key, value in record.items()
        if key not in COUNTS and isinstance(value, int | float)
    }


class TensorBoard(Listener):
    """Event files in `tensorboard/` of the run's folder, over agent steps.

    Raises:
        UsageError: If TensorBoard is not installed.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (an optional dependency)
        except ImportError as error:
            raise UsageError("TensorBoard is not installed; run: pip install 'plastic-rl[tensorboard]'") from error
        self._make: Any = SummaryWriter
        self._writer: Any = None

    def started(self, run: "Run") -> None:
        """Open the files; after a resume, what was written beyond the checkpoint is purged."""
        steps = run.clock.now.agent_steps
        self._writer = self._make(str(run.folder.path / "tensorboard"), purge_step=steps + 1 if steps else None)

    def recorded(self, record: Record) -> None:
        """Write the numbers."""
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record["agent_steps"])

    def finished(self, run: "Run", result: "Result") -> None:
        """Close the files."""
        self._writer.close()

    def stopped(self, run: "Run") -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
