"""`plastic run`: train by a recipe, from a file, from the command line, or from both."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from plastic.cli.integer import Integer
from plastic.cli.typed_recipe import FLAG, SEVERAL, typed_recipe
from plastic.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plastic.cli.carry_out import Log
    from plastic.core.recipes.recipe import Recipe


def run(
    *,
    agent: str | None = None,
    env: str | None = None,
    preset: str | None = None,
    plugin: Annotated[list[str] | None, SEVERAL] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set"), SEVERAL] = None,
    seed: Integer = None,
    seeds: str | None = None,
    together: Integer = None,
    steps: Integer = None,
    device: str | None = None,
    out: Path | None = None,
    config: Path | None = None,
    log: Annotated[list[Literal["tensorboard", "wandb"]] | None, SEVERAL] = None,
    dry_run: Annotated[bool, FLAG] = False,
    quiet: Annotated[bool, FLAG] = False,
) -> int:
    """Train an agent with plugins, evaluate it, and write everything into a folder of its own.

    Args:
        agent: A name, or module:Name of your own; rainbow if left out.
        env: A Gymnasium id, or a short name as pong; ALE/Pong-v5 if left out.
        preset: The agent's named configuration; if left out, the one for images or for vectors.
        plugin: NAME, NAME:OPTION=VALUE,OPTION=VALUE, or module:Class; several, in order.
        set_: NAME=VALUE: a setting of the run, the agent or the environment; several.
        seed: Of every random stream; 0 if left out.
        seeds: 0-9, or 0,3,7: a run for each, every one a process of its own.
        together: How many of those at a time; if left out, as many as there are cores and, on a GPU, memory for.
        steps: Agent steps in total; 100000 if left out.
        device: cpu, cuda or cuda:N; cpu if left out.
        out: The run's folder, which must be new; if left out, the next free one under runs/.
        config: A recipe in TOML, such as recipe.toml of another run; what is said here wins.
        log: Write metrics for these, too.
        dry_run: Print the plan, and do nothing.
        quiet: Print the result alone.
    """
    if seeds is not None and seed is not None:
        raise UsageError("say --seed or --seeds, not both")
    if together is not None and seeds is None:
        raise UsageError("--together is for --seeds")
    wanted = typed_recipe(agent, env, preset, plugin, set_, seed=seed, steps=steps, device=device, config=config)
    if dry_run:
        return _dry_run(wanted, out, seeds, together, list(dict.fromkeys(log or ())))
    if seeds is not None:
        from plastic.cli.seeds import run_seeds

        return run_seeds(wanted, seeds, out, list(dict.fromkeys(log or ())), together, quiet)
    from plastic import running
    from plastic.cli.carry_out import carry_out, listeners
    from plastic.cli.packages import registry

    known = registry()
    return carry_out(running.prepare(wanted, out, listeners(log or (), quiet), known))


def _dry_run(wanted: "Recipe", out: Path | None, seeds: str | None, together: int | None, logs: "Sequence[Log]") -> int:
    """The plan, or the refusal that the run itself would meet."""
    from plastic.cli.carry_out import listeners
    from plastic.cli.output import show
    from plastic.cli.packages import registry
    from plastic.cli.plan import plan
    from plastic.cli.seeds import parse_seeds
    from plastic.cli.several import Wanted, several
    from plastic.core.recipes.assemble import assemble

    listeners(logs, quiet=True)
    if seeds is not None:
        show(several(Wanted(wanted, seeds, len(parse_seeds(seeds)), together, out, logs)).plan)
    else:
        show(plan(assemble(wanted, registry()), out, logs=logs))
    return 0
