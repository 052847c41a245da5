"""The newest checkpoint of a run, which may be at work."""

from typing import Any

from plastic.core.errors import UsageError
from plastic.core.runs import checkpoint
from plastic.core.runs.run_folder import RunFolder


def newest(folder: RunFolder) -> dict[str, Any] | None:
    """The state in the newest checkpoint; None if there is none.

    A run that is at work deletes old ones: if the chosen one is gone, there is a newer.

    Raises:
        UsageError: If it cannot be read.
    """
    while saved := folder.checkpoints():
        try:
            return checkpoint.read(saved[-1])
        except UsageError:
            if saved[-1] in folder.checkpoints():
                raise
    return None
