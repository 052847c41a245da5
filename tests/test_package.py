"""What an installed plastic says about itself: metadata, version, types, pins."""

import re
import tomllib
from importlib.metadata import distribution, entry_points, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import plastic

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
REQUIREMENTS: set[str] = {*PROJECT["dependencies"]}.union(*EXTRAS.values())
CHANGELOG = ROOT / "CHANGELOG.md"


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints-dev.txt").read_text(encoding="utf-8").splitlines()
    found = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pinned for name, _, pinned in found}


def test_there_is_one_version() -> None:
    assert "version" in PROJECT["dynamic"]
    assert version("plastic-rl") == plastic.__version__, "touch pyproject.toml and run `make install`"


def test_the_installed_metadata_is_that_of_pyproject() -> None:
    metadata = distribution("plastic-rl").metadata
    assert metadata["Name"] == "plastic-rl"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert set(metadata.get_all("Provides-Extra") or ()) == EXTRAS.keys()
    needed = [Requirement(line) for line in metadata.get_all("Requires-Dist") or ()]
    core = {str(requirement) for requirement in needed if requirement.marker is None}
    assert core == {str(Requirement(line)) for line in PROJECT["dependencies"]}


def test_the_command_is_installed_and_can_be_loaded() -> None:
    (command,) = entry_points(group="console_scripts", name="plastic")
    assert command.value == "plastic.cli.main:main"
    assert callable(command.load())


def test_what_is_built_in_comes_in_by_entry_points() -> None:
    own = {point.name: point for point in distribution("plastic-rl").entry_points if point.group == "plastic"}
    assert own.keys() == PROJECT["entry-points"]["plastic"].keys() == {"agents", "envs", "plugins"}
    for point in own.values():
        assert Path(point.load().__file__).parent == Path(plastic.__file__).parent / point.name


def test_the_types_are_shipped() -> None:
    assert (Path(plastic.__file__).parent / "py.typed").is_file()


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "plastic").rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("line", sorted(REQUIREMENTS))
def test_every_requirement_has_a_bound_and_a_pin_within_it(line: str) -> None:
    requirement = Requirement(line)
    assert len(requirement.specifier) > 0
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_torch_is_pinned_to_the_release_the_records_were_made_with() -> None:
    assert pins()["torch"] == "2.13.0"


def test_what_is_installed_is_what_is_pinned() -> None:
    pinned = pins()
    names = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    installed = {name: re.sub(r"\+.*", "", version(name)) for name in names}  # torch 2.13.0+cpu is 2.13.0
    assert installed == {name: pinned[name] for name in names}


def test_the_licence_names_its_holder() -> None:
    assert "2026 the plastic developers" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    assert re.search(r"^## \[Unreleased\]$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
