"""`plastic run`: train by a recipe, from a file, from the command line, or from both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from attrs import evolve
from cyclopts import Parameter

from plastic.core import options, recipe
from plastic.core.errors import UsageError
from plastic.core.recipe import Chosen, Recipe

_SEVERAL = Parameter(consume_multiple=(1, 1000), negative=())
_FLAG = Parameter(negative=())


def run(
    *,
    agent: str | None = None,
    env: str | None = None,
    preset: str | None = None,
    plugin: Annotated[list[str] | None, _SEVERAL] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set"), _SEVERAL] = None,
    seed: int | None = None,
    steps: int | None = None,
    device: str | None = None,
    out: Path | None = None,
    config: Path | None = None,
    log: Annotated[list[Literal["tensorboard", "wandb"]] | None, _SEVERAL] = None,
    dry_run: Annotated[bool, _FLAG] = False,
    quiet: Annotated[bool, _FLAG] = False,
) -> int:
    """Train an agent with plugins, evaluate it, and write everything into a folder of its own.

    Args:
        agent: A name, or module:Name of your own; rainbow if left out.
        env: A Gymnasium id, or a short name as pong; ALE/Pong-v5 if left out.
        preset: The agent's named configuration; if left out, the one for images or for vectors.
        plugin: NAME, NAME:OPTION=VALUE,OPTION=VALUE, or module:Class; several, in order.
        set_: NAME=VALUE: a setting of the run, the agent or the environment; several.
        seed: Of every random stream; 0 if left out.
        steps: Agent steps in total; 100000 if left out.
        device: cpu, cuda or cuda:N; cpu if left out.
        out: The run's folder, which must be new; if left out, the next free one under runs/.
        config: A recipe in TOML, such as recipe.toml of another run; what is said here wins.
        log: Write metrics for these, too.
        dry_run: Print the plan, and do nothing.
        quiet: Print the result alone.
    """
    base = Recipe() if config is None else recipe.read(config)
    if preset not in (None, "none") and base.preset == "none" and base.settings:
        raise UsageError(f"{config} says every setting itself; leave --preset out, or take its [settings] out")
    said: dict[str, Any] = {
        "agent": agent,
        "env": env,
        "preset": preset,
        "seed": seed,
        "steps": steps,
        "device": device,
    }
    settings: dict[str, Any] = {}
    for text in set_ or ():
        settings |= options.parse(text, "--set")
    wanted = evolve(
        base,
        **{name: value for name, value in said.items() if value is not None},
        settings={**base.settings, **settings},
        plugins=_together(base.plugins, [Chosen.parse(text) for text in plugin or ()]),
    )
    from plastic.cli.packages import registry

    if dry_run:
        from plastic.cli.output import show
        from plastic.cli.plan import plan
        from plastic.core.assemble import assemble

        show(plan(assemble(wanted, registry()), out))
        return 0
    from plastic import running
    from plastic.cli.carry_out import carry_out, listeners

    known = registry()
    return carry_out(running.prepare(wanted, out, listeners(log or (), quiet), known))


def _together(file: Sequence[Chosen], said: Sequence[Chosen]) -> tuple[Chosen, ...]:
    from plastic.core.presets import merged

    return tuple(merged(file, said))
