"""Running, resuming, evaluating and loading, for Python and for the command line alike."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from attrs import evolve

from plastic.core.errors import UsageError
from plastic.core.recipes import recipe
from plastic.core.recipes.assemble import Assembly, assemble
from plastic.core.recipes.recipe import Recipe
from plastic.core.recipes.registry import Registry
from plastic.core.recipes.settings import most_threads
from plastic.core.runs.evaluation import evaluate
from plastic.core.runs.folder_lock import FolderLock
from plastic.core.runs.listener import Listener
from plastic.core.runs.newest import newest
from plastic.core.runs.restoring import load_learners, refuse_edited
from plastic.core.runs.run import Result, Run
from plastic.core.runs.run_folder import RunFolder
from plastic.policy import Policy
from plastic.report.curve import Curve


def prepare(
    wanted: Recipe, out: Path | str | None = None, listeners: Sequence[Listener] = (), registry: Registry | None = None
) -> Run:
    """Assemble a run and make its folder; nothing is made if the recipe does not fit.

    Raises:
        UsageError: If the recipe does not fit, or the folder is there already.
    """
    assembly = assemble(wanted, Registry().load() if registry is None else registry)
    name = "-".join([wanted.agent.split(":")[-1], assembly.recipe.env.split("/")[-1], f"s{wanted.seed}"])
    folder = RunFolder.create(None if out is None else Path(out), name)
    prepared = Run(assembly, folder, [*listeners, Curve(), FolderLock(folder.path)])
    prepared.begin()
    return prepared


def reopen(
    path: Path | str, steps: int | None = None, listeners: Sequence[Listener] = (), registry: Registry | None = None
) -> Run | None:
    """The run in a folder where its last checkpoint left it; None if it has finished.

    Args:
        path: The run's folder.
        steps: A new total of agent steps, for a run that shall go on.
        listeners: Who hears of it.
        registry: Where names are looked up.

    Raises:
        UsageError: If there is no run, its recipe is no longer that of the checkpoint, or another process is at work in
            its folder.
    """
    folder = RunFolder.open(Path(path))
    if folder.result.exists() and (steps is None or steps <= recipe.read(folder.recipe).steps):
        return None
    lock = FolderLock(folder.path)
    with ExitStack() as unless_opened:
        unless_opened.callback(lock.release)
        known = Registry().load() if registry is None else registry
        reopened = _again(folder, steps, [*listeners, Curve(), lock], known)
        unless_opened.pop_all()
    return reopened


def _again(folder: RunFolder, steps: int | None, listeners: Sequence[Listener], registry: Registry) -> Run:
    wanted = recipe.read(folder.recipe)
    if steps is not None:
        wanted = evolve(wanted, steps=steps)
    state = newest(folder)
    if state is not None:
        done = state["clock"]["now"]["agent_steps"]
        if wanted.steps < done:
            raise UsageError(f"{folder.path} is at step {done:,} already; give more than that, not {wanted.steps:,}")
        if "recipe" not in state:  # its writer knew no better
            wanted = evolve(wanted, settings={**wanted.settings, "threads": state["threads"]})
    assembly = assemble(wanted, registry)
    if state is not None:
        refuse_edited(assembly.recipe, folder.recipe, state)
    again = Run(assembly, folder, listeners)
    if state is None:  # killed before the first checkpoint: from the start
        folder.result.unlink(missing_ok=True)
        again.discard_metrics()
        again.begin()
    else:
        again.load_state_dict(state)
        folder.result.unlink(missing_ok=True)  # before the recipe says more steps: it marks the run as finished
        folder.write_text(folder.recipe, again.recipe.toml())
    return again


def run(
    wanted: Recipe, out: Path | str | None = None, listeners: Sequence[Listener] = (), registry: Registry | None = None
) -> Run:
    """Train to the end and evaluate; `.result` and `.folder` say what came of it."""
    prepared = prepare(wanted, out, listeners, registry)
    prepared.train()
    return prepared


def restore(path: Path | str, registry: Registry | None = None) -> Assembly:
    """What the run in a folder has learnt by its last checkpoint.

    It has as many threads as the run, or, where that had more cores, as many as this machine takes.

    Raises:
        UsageError: If there is no run or no checkpoint, or it does not fit.
    """
    folder = RunFolder.open(Path(path))
    state = newest(folder)
    if state is None:
        raise UsageError(f"{path} has no checkpoint yet")
    wanted = recipe.read(folder.recipe)
    threads = wanted.settings.get("threads")
    if isinstance(threads, int):
        wanted = evolve(wanted, settings={**wanted.settings, "threads": min(threads, most_threads())})
    assembly = assemble(wanted, Registry().load() if registry is None else registry)
    try:
        load_learners(assembly.agent, state)
    except UsageError:
        refuse_edited(assembly.recipe, folder.recipe, state)  # says more, if the file is to blame
        raise
    assembly.clock.advance(**state["clock"]["now"])
    return assembly


def load(path: Path | str, registry: Registry | None = None) -> Policy:
    """The policy a run has learnt by its last checkpoint.

    Raises:
        UsageError: If there is no run or no checkpoint.
    """
    return Policy(restore(path, registry))


def games_again(assembly: Assembly, games: int | None = None) -> int:
    """Games of an evaluation that somebody asks for: so many, or as many as the run's own, or as its family's."""
    return games or assembly.games or assembly.family.eval_episodes


def evaluate_again(learnt: Path | str | Assembly, games: int | None = None, registry: Registry | None = None) -> Result:
    """Play games with what a run has learnt, on as many threads as it: with others, scores may differ from the run's.

    Args:
        learnt: The run's folder, or what `restore` made of it.
        games: How many; see `games_again`.
        registry: Where names are looked up.

    Raises:
        UsageError: If there is no run or no checkpoint.
    """
    assembly = learnt if isinstance(learnt, Assembly) else restore(learnt, registry)
    torch.set_num_threads(assembly.settings.threads)
    scores = evaluate(assembly, games_again(assembly, games))
    mean = sum(scores) / len(scores)
    return Result(tuple(scores), mean, assembly.family.normalise(assembly.recipe.env, mean))


def result_of(path: Path | str) -> dict[str, Any]:
    """The final evaluation that a finished run wrote down."""
    result: dict[str, Any] = json.loads(RunFolder.open(Path(path)).result.read_text(encoding="utf-8"))
    return result
