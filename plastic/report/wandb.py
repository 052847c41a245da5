"""Metrics for Weights & Biases."""

import json
import os
from typing import TYPE_CHECKING, Any

from plastic.core.errors import UsageError
from plastic.core.runs.listener import Listener, Record
from plastic.report.tensorboard import scalars

if TYPE_CHECKING:
    from plastic.core.runs.run import Result, Run


class WandB(Listener):
    """A W&B run in the run's folder; without an account it stays offline there (`wandb sync` sends it later).

    Its id is kept in `wandb.json`, so that a run that is resumed goes on in the same W&B run.

    Raises:
        UsageError: If wandb is not installed.
    """

    def __init__(self) -> None:
        try:
            import wandb  # noqa: PLC0415  (an optional dependency)
        except ImportError as error:
            raise UsageError("W&B is not installed; run: pip install 'plastic-rl[wandb]'") from error
        self._wandb: Any = wandb
        self._run: Any = None

    def started(self, run: "Run") -> None:
        """Open it, under the folder's name, or go on in the one that the folder knows.

        Raises:
            RunError: If its id cannot be written down.
        """
        kept = run.folder.path / "wandb.json"
        known = bool(os.environ.get("WANDB_API_KEY")) or "WANDB_MODE" in os.environ
        self._run = self._wandb.init(
            project="plastic",
            name=run.folder.path.name,
            dir=str(run.folder.path),
            config={"agent": run.recipe.agent, "env": run.recipe.env, "seed": run.recipe.seed, **run.recipe.settings},
            mode=None if known else "offline",
            id=json.loads(kept.read_text(encoding="utf-8"))["id"] if kept.exists() else None,
            resume="allow",
        )
        run.folder.write_json(kept, {"id": self._run.id})

    def recorded(self, record: Record) -> None:
        """Send the numbers."""
        self._run.log(scalars(record) | {"agent_steps": record["agent_steps"]})

    def finished(self, run: "Run", result: "Result") -> None:
        """Close it."""
        self._run.finish()

    def stopped(self, run: "Run") -> None:
        """Close it."""
        if self._run is not None:
            self._run.finish(exit_code=1)
