"""`plastic plugins new`: a package that can be built, is found by its entry point, and passes its own tests."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plastic.core.recipes.registry import Registry

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_installs_is_found_and_passes(plastic: "Plastic") -> None:
    done = plastic("plugins", "new", "plastic-gentle-shrink")
    assert done.code == 0, done.err
    assert done.out.startswith("plastic-gentle-shrink: written.")
    folder = plastic.folder / "plastic-gentle-shrink"
    site = plastic.folder / "site"
    # --no-build-isolation and --no-deps: nothing is fetched
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(folder)], check=True, timeout=120)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    listed = _run(["-m", "plastic.cli.main"], environment, "plugins", "show", "gentle_shrink")
    assert "package  plastic-gentle-shrink" in listed
    tested = _run(["-m", "pytest", "-q", "-p", "no:cacheprovider"], environment, str(folder))
    assert "2 passed" in tested


def _run(how: list[str], environment: dict[str, str], *arguments: str) -> str:
    start = "import sys; from plastic.cli.main import main; sys.exit(main())"
    command = ["-c", start] if how[1] == "plastic.cli.main" else how
    done = subprocess.run(
        [sys.executable, *command, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["Plastic", "my package", "-x", "x-", "my_package", "../x", "1x", "class", ""])
def test_a_name_that_will_not_do_is_refused(plastic: "Plastic", name: str) -> None:
    done = plastic("plugins", "new", "--", name)
    assert done.code == 2
    assert f"{name!r} is no name for a package; use lower-case words joined by hyphens" in done.error
    assert list(plastic.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("plastic-class", "would hold class.py with a class Class, and Python takes 'class' for no name"),
        ("plastic-2x", "would hold 2x.py with a class 2x, and Python takes '2x' for no name"),
        ("plastic-none", "would hold none.py with a class None, and Python takes 'None' for no name"),
        ("plastic-sam", "would bring a plugin 'sam', which is there already, from plastic-rl"),
        ("layer-norm", "would bring a plugin 'layer_norm', which is there already, from plastic-rl"),
    ],
)
def test_a_name_that_will_not_do_for_the_plugin_is_refused(plastic: "Plastic", package: str, words: str) -> None:
    done = plastic("plugins", "new", package)
    assert done.code == 2
    assert done.error.startswith(f"{package!r} {words}; choose another")
    assert list(plastic.folder.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(plastic: "Plastic") -> None:
    (plastic.folder / "mine").mkdir()
    done = plastic("plugins", "new", "mine")
    assert (done.code, done.error) == (2, "'mine' is there already; choose another name, or move it away")
    assert list((plastic.folder / "mine").iterdir()) == []
    assert "own name" in plastic("plugins", "new", "plastic-rl").error
    assert Registry().load().broken == {}
