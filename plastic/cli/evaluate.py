"""`plastic evaluate`: play games with what a run has learnt."""

from contextlib import nullcontext
from pathlib import Path

from plastic.cli.integer import Integer
from plastic.core.errors import UsageError


def evaluate(folder: Path, /, *, episodes: Integer = None) -> int:
    """Play games with what a run has learnt by its last checkpoint.

    The games are those of the evaluation at the run's end, and further ones if more are asked for.

    Args:
        folder: The run's folder.
        episodes: How many games; if left out, as many as at the run's end.
    """
    if episodes is not None and episodes < 1:
        raise UsageError(f"episodes must be at least 1, not {episodes}")
    from plastic import running
    from plastic.cli.outcome import scores
    from plastic.cli.output import console, on_terminal, show
    from plastic.cli.packages import registry
    from plastic.cli.plan import facts
    from plastic.cli.seeds_folder import refuse_to_evaluate
    from plastic.cli.wording import count

    refuse_to_evaluate(folder)
    assembly = running.restore(folder, registry())
    games = running.games_again(assembly, episodes)
    recipe, steps = assembly.recipe, count(assembly.clock.now.agent_steps, "step")
    show(f"{recipe.agent} on {recipe.env} after {steps}: {count(games, 'game')}")
    with console().status("playing") if on_terminal() else nullcontext():
        result = running.evaluate_again(assembly, games)
    show(facts(scores(assembly.family, recipe.env, result.scores)))
    return 0
