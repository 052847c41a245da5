"""examples/plastic-weight-clipping, installed into a folder: found by its name, sound, and run by the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plastic-weight-clipping"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where Python finds the package, its entry point included; nothing is fetched."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(EXAMPLE)], check=True, timeout=120)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def python(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PLASTIC = ("-c", "import sys; from plastic.cli.main import main; sys.exit(main())")


@pytest.mark.slow
def test_it_is_run_by_name_from_the_command_line(environment: dict[str, str], tmp_path: Path) -> None:
    shown = python(environment, tmp_path, *PLASTIC, "plugins", "show", "weight_clipping")
    assert "package  plastic-weight-clipping" in shown
    plan = ("--plugin", "weight_clipping:kappa=0.01", "--plugin", "weight_norm:when=50", "--quiet", "--out", "run")
    small = ("--env", "CartPole-v1", "--steps", "150", "--set", "hidden=16", "learning_starts=32", "eval_episodes=1")
    python(environment, tmp_path, *PLASTIC, "run", *small, *plan)
    assert 'name = "weight_clipping"' in (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")
    assert "weight_norm/total" in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8")


@pytest.mark.slow
def test_its_own_tests_pass(environment: dict[str, str], tmp_path: Path) -> None:
    tested = python(environment, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE))
    assert "3 passed" in tested
