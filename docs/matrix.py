"""Try every unordered pair of plugins on every agent, and write docs/plugins/matrix.md: `make matrix`.

python docs/matrix.py            all pairs, in two processes
python docs/matrix.py --few      the few that the tests run, to standard output alone
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from plastic.testing.matrix import AGENTS, Cell, names, pairs, run, sample

PAGE = Path(__file__).parent / "plugins" / "matrix.md"
WORKS, REFUSED = "✓", "r"

_HEAD = """\
# Every plugin beside every other

Each pair of plugins on each agent: `✓` works, `r1` and on were refused, for the reason below the table. The probes
are one bundle, `probes`, without those that find nothing to measure there.

That a pair works means: both were put on a small network of the agent by what the command line does, with schedules
that let them act within five updates. After every update and its edits the optimizer held all that is trained, with
moments of its shape; copies had the model's structure; all was finite, and nothing was left behind. Saved in the middle
and loaded, the run went on bit for bit. And with either plugin left out, the run was another.

Written by `make matrix`; the tests run a sample of it in which every plugin is on every agent.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pairs; 1 if one neither works nor was refused."""
    parser = argparse.ArgumentParser(description="Try every pair of plugins on every agent.")
    parser.add_argument("--few", action="store_true", help="the sample of the tests, and write nothing")
    parser.add_argument("--processes", type=int, default=2, help="at a time; 2 if left out")
    arguments = parser.parse_args(argv)
    chosen = sample() if arguments.few else [pair for agent in AGENTS for pair in pairs(agent)]
    begun = perf_counter()
    cells = run(chosen, processes=arguments.processes)
    broken = [cell for cell in cells if cell.outcome == "broken"]
    for cell in broken:
        print(f"{cell.pair.first} + {cell.pair.second} on {cell.pair.agent}: {cell.why}")
    refused = sum(cell.outcome == "refused" for cell in cells)
    print(f"{len(cells)} pairs in {perf_counter() - begun:.0f} s: {refused} refused, {len(broken)} broken")
    if not arguments.few and not broken:
        PAGE.write_text(page(cells), encoding="utf-8")
        print(f"{PAGE}: written")
    return 1 if broken else 0


def page(cells: Sequence[Cell]) -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(agent, [c for c in cells if c.pair.agent == agent]) for agent in AGENTS)])


def _section(agent: str, cells: Sequence[Cell]) -> str:
    plugins = names()
    reasons = list(dict.fromkeys(cell.why for cell in cells if cell.outcome == "refused"))
    signs = {
        frozenset((cell.pair.first, cell.pair.second)): f"{REFUSED}{reasons.index(cell.why) + 1}"
        if cell.outcome == "refused"
        else WORKS
        for cell in cells
    }
    heads = ["", *(f"`{name}`" for name in plugins[1:])]
    lines = [f"## {agent}\n", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for place, name in enumerate(plugins[:-1]):
        row = [
            signs.get(frozenset((name, other)), "?") if other in plugins[place + 1 :] else "" for other in plugins[1:]
        ]
        lines.append(f"| `{name}` | {' | '.join(row)} |")
    if reasons:
        lines.append("")
        lines += [f"- {REFUSED}{number}: {why}" for number, why in enumerate(reasons, 1)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
