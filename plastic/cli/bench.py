"""`plastic bench`: what an agent's plugins cost, per update and over a whole run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from plastic.cli.integer import Integer
from plastic.cli.typed_recipe import FLAG, SEVERAL, typed_recipe
from plastic.core.errors import UsageError

if TYPE_CHECKING:
    from plastic.bench.costs import Costs
    from plastic.core.recipes.recipe import Recipe


def bench(
    *,
    agent: str | None = None,
    env: str | None = None,
    preset: str | None = None,
    plugin: Annotated[list[str] | None, SEVERAL] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set"), SEVERAL] = None,
    seed: Integer = None,
    steps: Integer = None,
    device: str | None = None,
    config: Path | None = None,
    each: Annotated[bool, FLAG] = False,
    seconds: float = 30.0,
    json: Path | None = None,
    chart: Path | None = None,
) -> int:
    """Time an agent bare and with its plugins, by turns, and say what a run of it costs.

    Args:
        agent: A name, or module:Name of your own; rainbow if left out.
        env: A Gymnasium id, or a short name as pong; ALE/Pong-v5 if left out.
        preset: The agent's named configuration; its plugins are timed, too.
        plugin: NAME, NAME:OPTION=VALUE,OPTION=VALUE, or module:Class; several, in order.
        set_: NAME=VALUE: a setting of the run, the agent or the environment; several.
        seed: Of every random stream; 0 if left out.
        steps: Agent steps of the run that is reckoned; 100000 if left out.
        device: cpu, cuda or cuda:N; cpu if left out.
        config: A recipe in TOML, such as recipe.toml of another run; what is said here wins.
        each: Time every plugin by itself, too.
        seconds: How long to take, about; longer is more exact.
        json: Write everything that was measured into this file.
        chart: Draw the ratios into this picture, .png, .svg or .pdf.
    """
    if not 0 < seconds < float("inf"):
        raise UsageError(f"seconds must be more than 0, not {seconds}")
    wanted = typed_recipe(agent, env, preset, plugin, set_, seed=seed, steps=steps, device=device, config=config)
    from plastic.cli.costs_table import costs_table
    from plastic.cli.output import show
    from plastic.report import costs_chart, costs_json
    from plastic.report.writable import refuse_unwritable

    if chart is not None:
        costs_chart.refuse_unknown_format(chart)
    for path in filter(None, (json, chart)):
        refuse_unwritable(path)
    measured = _measured(wanted, each, seconds)
    show(costs_table(measured))
    if json is not None:
        costs_json.write(measured, json)
        show("", f"The numbers lie in {json}")
    if chart is not None:
        costs_chart.draw(measured, chart)
        show("", f"The picture lies in {chart}")
    return 0


def _measured(wanted: "Recipe", each: bool, seconds: float) -> "Costs":
    from plastic.bench.costs import measure
    from plastic.cli.output import console, on_terminal
    from plastic.cli.packages import registry

    known = registry()
    if not on_terminal():
        return measure(wanted, known, each=each, seconds=seconds)
    with console().status("assembling") as status:

        def said(what: str, share: float) -> None:
            status.update(f"{what}: {share:.0%}")

        return measure(wanted, known, each=each, seconds=seconds, progress=said)
