"""Who imports whom: core nothing of the others, plugins, agents and envs only core; the start is quick.

No plugin imports another, and no agent another.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "plastic"

EVERYTHING = frozenset({"agents", "bench", "cli", "core", "envs", "plugins", "report", "testing"})
SHARED = frozenset({"actor_critic", "replay"})  # what stands in a folder under agents/ and is no agent
# The parts of plastic each part may import; "" is plastic/__init__.py and the modules beside it.
ALLOWED = {
    "": (EVERYTHING | {""}) - {"cli"},
    "core": {"core"},
    "plugins": {"core", "plugins"},
    "agents": {"core", "agents"},
    "envs": {"core", "envs"},
    "bench": {"bench", "core"},
    "report": {"bench", "core", "report"},
    "testing": {"agents", "core", "plugins", "testing"},
    "cli": EVERYTHING | {""},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything of plastic that `source`, a module of `package`, imports.

    Imports in functions and under TYPE_CHECKING count too: they tie the parts together just as well.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "plastic")


def part(name: str) -> str:
    """The part of plastic a dotted name lies in.

    `plastic.core.errors.UsageError` lies in "core"; `plastic.__version__`, no folder's, in "".
    """
    words = name.split(".")
    return words[1] if len(words) > 1 and (PACKAGE / words[1]).is_dir() else ""


def refusal(importer: str, imported: str) -> str | None:
    """Why the module `importer` may not import the name `imported`, or None if it may."""
    if imported == "plastic.__version__":
        return None
    here, there = part(importer), part(imported)
    if here not in ALLOWED:
        return f"ALLOWED does not say what plastic/{here} may import"
    if there not in ALLOWED[here]:
        return f"{here or 'plastic itself'} must not import {there or 'plastic itself'}"
    if here == there == "agents" and importer not in ("plastic.agents", "plastic.agents.hooks"):
        agent, other = (lone_agent(name) for name in (importer, imported))
        if other is not None and other != agent:
            return f"an agent shares by modules beside it in agents/, not by importing {other}"
    if here == there == "plugins" and importer != "plastic.plugins.hooks":
        return "plugins share by modules of core, not by importing each other"
    return None


def lone_agent(name: str) -> str | None:
    """The agent's own folder under agents/ that a dotted name lies in; None for what agents share."""
    words = name.split(".")
    alone = len(words) > 2 and (PACKAGE / "agents" / words[2]).is_dir() and words[2] not in SHARED
    return words[2] if alone else None


def test_the_layers_import_downwards_only() -> None:
    assert {"plastic", "plastic.core.errors", "plastic.cli.main"} <= MODULES.keys()
    faults = []
    for name, path in MODULES.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for line, imported in imports(path.read_text(encoding="utf-8"), package):
            if reason := refusal(name, imported):
                faults.append(f"{path.relative_to(ROOT)}:{line}: imports {imported}: {reason}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("package", "source", "expected"),
    [
        ("plastic.core", "import plastic.plugins.sam as sam", ["plastic.plugins.sam"]),
        ("plastic.core", "from plastic import agents", ["plastic.agents"]),
        ("plastic.core", "from ..envs import atari", ["plastic.envs.atari"]),
        ("plastic.core", "from . import errors", ["plastic.core.errors"]),
        ("plastic.core.layers", "from ...cli.main import main", ["plastic.cli.main.main"]),
        ("plastic.core", "def late():\n    from plastic.cli import main", ["plastic.cli.main"]),
        ("plastic.core", "import torch\nfrom plasticine import agents", []),
    ],
)
def test_every_form_of_import_is_seen(package: str, source: str, expected: list[str]) -> None:
    assert [name for _, name in imports(source, package)] == expected


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("plastic.core.learning.learner", "plastic.core.edits.Overwrite", True),
        ("plastic.core.recipes.registry", "plastic.plugins", False),
        ("plastic.core.recipes.registry", "plastic.cli.main", False),
        ("plastic.core.runs.checkpoint", "plastic.__version__", True),
        ("plastic.core.runs.checkpoint", "plastic.run", False),
        ("plastic.plugins.modifiers.sam", "plastic.core.modifier.OptimizerModifier", True),
        ("plastic.plugins.modifiers.sam", "plastic.agents.replay", False),
        ("plastic.plugins.modifiers.sam", "plastic.plugins.modifiers.swa.SWA", False),
        ("plastic.plugins.interventions.redo", "plastic.plugins.probes.dormant_units.DormantUnits", False),
        ("plastic.plugins.hooks", "plastic.plugins.modifiers.sam.SAM", True),
        ("plastic.agents.rainbow.agent", "plastic.agents.replay.Replay", True),
        ("plastic.agents.rainbow.agent", "plastic.agents.rainbow.network", True),
        ("plastic.agents.replay", "plastic.agents.rainbow.network", False),
        ("plastic.agents", "plastic.agents.rainbow.agent", True),
        ("plastic.agents.rainbow.agent", "plastic.plugins.modifiers.sam", False),
        ("plastic.envs.atari", "plastic.plugins", False),
        ("plastic.cli.main", "plastic.agents.rainbow", True),
        ("plastic", "plastic.core.recipes.recipe", True),
        ("plastic", "plastic.cli.main", False),
    ],
)
def test_the_rule_itself(importer: str, imported: str, allowed: bool) -> None:
    assert (refusal(importer, imported) is None) == allowed


HEAVY = ("torch", "gymnasium", "ale_py", "matplotlib", "dm_control", "mujoco")  # 0.2 to 2 seconds each


@pytest.mark.parametrize(
    "statement",
    [
        "import plastic",
        "import plastic.cli.main",
        "import plastic.cli.main; sys.argv = ['plastic', '--help']; plastic.cli.main.main()",
    ],
    ids=["plastic", "plastic.cli.main", "plastic --help"],
)
def test_nothing_heavy_is_imported_at_the_start(statement: str) -> None:
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('HEAVY', *(name for name in {HEAVY} if name in sys.modules)))\n"
        f"{statement}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["HEAVY"]
