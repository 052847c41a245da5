"""`plastic resume`: go on where a run's last checkpoint left it."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from plastic.cli.integer import Integer
from plastic.core.errors import UsageError

_SEVERAL = Parameter(consume_multiple=(1, 1000), negative=())


def resume(
    folder: Path,
    /,
    *,
    steps: Integer = None,
    log: Annotated[list[Literal["tensorboard", "wandb"]] | None, _SEVERAL] = None,
    quiet: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Go on with a run that was interrupted, exactly where its last checkpoint left it.

    Args:
        folder: The run's folder.
        steps: A new number of agent steps in total, for a run that shall become longer.
        log: Write metrics for these, too.
        quiet: Print the result alone.
    """
    if steps is not None and steps < 1:
        raise UsageError(f"steps must be at least 1, not {steps}")
    from plastic import running
    from plastic.cli.carry_out import carry_out, listeners
    from plastic.cli.output import show
    from plastic.cli.packages import registry
    from plastic.cli.seeds_folder import refuse_to_resume

    refuse_to_resume(folder)
    run = running.reopen(folder, steps, listeners(log or (), quiet), registry())
    if run is not None:
        return carry_out(run)
    result = running.result_of(folder)
    done = result["agent_steps"]
    if steps is not None and steps < done:
        raise UsageError(f"{folder} is at step {done:,} already; give more than that, not {steps:,}")
    show(f"{folder} has finished: {_in_words(result)}")
    show(f"to make it longer: plastic resume {quote(str(folder))} --steps N")
    return 0


def _in_words(result: dict[str, Any]) -> str:
    from plastic.cli.wording import count, score

    steps = count(result["agent_steps"], "step")
    if result["mean"] is None:
        return steps
    return f"{steps}, score {score(result['mean'])}, mean of {count(len(result['scores']), 'game')}"
