"""Settings of a run that are neither the agent's nor the environment's."""

import os
from typing import Any

from attrs import Attribute, field, frozen

from plastic.core.validators import between


def most_threads() -> int:
    """That a run may have on this machine; many more would be a crash of torch's, and not merely slow."""
    return 2 * (os.cpu_count() or 1)


def _carried(instance: Any, attribute: "Attribute[Any]", threads: int) -> None:
    most = most_threads()
    if threads > most:
        limit = f"at most {most:,}, twice the cores of this machine ({most // 2:,})"
        raise ValueError(f"{attribute.name} must be {limit}, not {threads:,}")


@frozen
class Settings:
    """How a run is carried out; set by `--set NAME=VALUE`.

    Attributes:
        threads: Of torch, at most twice the machine's cores. Runs are only bit for bit the same at the same
            number. More than one per run is slower as soon as another process is busy.
        capture: Record updates and actions and replay them, as CUDA graphs on a GPU, as programs on a CPU.
        log_every: Agent steps between records of loss and gradient norm.
        evaluate_every: Agent steps between evaluations; none evaluates at the end alone.
        eval_episodes: Games an evaluation averages; none takes the number of the environment's protocol.
        eval_envs: Environments an evaluation plays side by side.
        checkpoint_every: Agent steps between checkpoints.
        checkpoint_keep: How many checkpoints are kept.
    """

    threads: int = field(default=1, validator=[between(1), _carried])
    capture: bool = False
    log_every: int = field(default=1_000, validator=between(1))
    evaluate_every: int | None = field(default=None, validator=between(1))
    eval_episodes: int | None = field(default=None, validator=between(0))
    eval_envs: int = field(default=8, validator=between(1))
    checkpoint_every: int = field(default=10_000, validator=between(1))
    checkpoint_keep: int = field(default=1, validator=between(1))
