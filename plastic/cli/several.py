"""What is decided of runs with several seeds before the first begins."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen
from rich.console import RenderableType

from plastic.core.errors import UsageError

if TYPE_CHECKING:
    from plastic.core.recipes.recipe import Recipe


@frozen
class Several:
    """Several runs that could begin.

    Attributes:
        folder: In which each has its own; None if it was neither named nor made.
        at_once: How many go on at a time.
        plan: Of all of them, to be printed.
    """

    folder: Path | None
    at_once: int
    plan: RenderableType


@frozen
class Wanted:
    """What the user says.

    Attributes:
        recipe: Its own seed does not count.
        seeds: In words.
        number: Of the seeds.
        together: How many at a time; None is as many as the machine takes, see `plastic.cli.at_once`.
        out: The folder of them all; None is the next free one under runs/.
        logs: What else metrics are written for.
        make: Whether to make that folder.
    """

    recipe: "Recipe"
    seeds: str
    number: int
    together: int | None = None
    out: Path | None = None
    logs: Sequence[str] = ()
    make: bool = False


def several(wanted: Wanted) -> Several:
    """Decide.

    A GPU is asked by another process, which takes its context with it, some hundreds of megabytes that the runs need.

    Raises:
        UsageError: If the recipe does not fit, or the folder is there already; nothing is made then.
    """
    if wanted.together is not None and wanted.together < 1:
        raise UsageError(f"together must be at least 1, not {wanted.together}")
    if not wanted.recipe.device.startswith("cuda"):
        found = _asked(wanted)
    else:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(_asked, wanted).result()
    if isinstance(found, str):
        raise UsageError(found)
    return found


def _asked(wanted: Wanted) -> Several | str:
    """Or why the recipe does not fit, in words: what an error carries with it may not go from process to process."""
    try:
        return _decided(wanted)
    except UsageError as error:
        return str(error)


def _decided(wanted: Wanted) -> Several:
    import torch

    from plastic.cli.at_once import allocated, at_once, cores, room
    from plastic.cli.packages import registry
    from plastic.cli.plan import decided, drawn, plugins
    from plastic.cli.wording import count
    from plastic.core.recipes.assemble import assemble
    from plastic.core.runs.run_folder import new_folder

    assembly = assemble(wanted.recipe, registry())
    assembly.env.close()
    device, threads, env = torch.device(wanted.recipe.device), assembly.settings.threads, assembly.recipe.env
    run = allocated(device)
    folder = new_folder(wanted.out, _name(wanted.recipe.agent, env)) if wanted.make else wanted.out
    rows = list(decided(assembly, folder, wanted.logs, f"{wanted.seeds}: {count(wanted.number, 'run')}"))
    table = plugins(assembly)
    del assembly  # what it holds of a GPU is the runs'
    together = min(wanted.number, wanted.together or at_once(cores(), threads, room(device, run)))
    rows = [(name, f"{value}, {together} at a time" if name == "seeds" else value) for name, value in rows]
    return Several(folder, together, drawn(rows, table))


def _name(agent: str, env: str) -> str:
    return f"{agent.rsplit(':', maxsplit=1)[-1]}-{env.rsplit('/', maxsplit=1)[-1]}-seeds"
