"""Training as the command line does it: to the end, or to where a signal stops it, and what came of it."""

import sys
from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Literal

from plastic.cli.outcome import outcome
from plastic.cli.output import show
from plastic.cli.signals import stopping
from plastic.core.runs.listener import Listener

if TYPE_CHECKING:
    from plastic.core.runs.run import Run

Log = Literal["tensorboard", "wandb"]


def listeners(logs: Sequence[Log], quiet: bool) -> list[Listener]:
    """Who hears of the run, for the options `--log` and `--quiet`.

    Raises:
        UsageError: If what a log needs is not installed.
    """
    from plastic.cli.progress import progress

    found: list[Listener] = [] if quiet else [progress()]
    for log in dict.fromkeys(logs):
        if log == "tensorboard":
            from plastic.report.tensorboard import TensorBoard

            found.append(TensorBoard())
        else:
            from plastic.report.wandb import WandB

            found.append(WandB())
    return found


def carry_out(run: "Run") -> int:
    """Train, and print the result or how to go on; the exit code.

    Raises:
        RunError: If the run fails.
        OSError: If the run was stopped because what it prints could not be written; nobody reads it, say.
    """
    with stopping(run) as caught:
        try:
            result = run.train()
        except KeyboardInterrupt:
            at = "at once, without a checkpoint of this step"
        else:
            at = f"after {run.clock.now.agent_steps:,} steps; a checkpoint was written"
            if result is not None:
                show(outcome(run, result))
                return 0
    go_on = f"stopped {at}; go on with: plastic resume {quote(str(run.folder.path))}"
    if caught.exit_code is None:
        try:
            show(go_on)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; {go_on}") from error
        return 1
    print(f"plastic: {go_on}", file=sys.stderr)
    return caught.exit_code
