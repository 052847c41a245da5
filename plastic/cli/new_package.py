"""A package to begin from: one plugin, its hook, its test, its page."""

import keyword
import re
from pathlib import Path

from plastic.cli.packages import registry
from plastic.core.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{package}"
version = "0.1.0"
description = "A plugin for plastic"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["plastic-rl"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points.plastic]
{module} = "{module}"

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]

[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = ["--import-mode=importlib"]
"""
_README = """\
# {package}

{cls} for plastic: say here what it does, after which paper, and when to use it.

    pip install .
    plastic run --plugin {plugin}
    plastic plugins check {plugin}

| option | default | meaning |
| --- | --- | --- |
| `shrink` | `0.9` | what stays of the weights |
| `layers` | `whole` | the part of the network that is shrunk |
| `when` | every 10,000 updates | the moments |
"""
_HOOK = '''\
"""{cls}, a plugin for plastic."""

from plastic.core.hookspecs import hookimpl
from plastic.core.intervention import PlasticityIntervention
from {module}.{plugin} import {cls}


@hookimpl
def plastic_interventions() -> list[type[PlasticityIntervention]]:
    """What this package brings."""
    return [{cls}]
'''
_PLUGIN = '''\
"""{cls}."""

from collections.abc import Iterator

from attrs import field, frozen
from torch import Tensor, nn

from plastic.core.edits import Edit, Overwrite
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.schedule import Every, Schedule
from plastic.core.units.selection import matching
from plastic.core.subject import Subject
from plastic.core.validators import between


@frozen(eq=False)
class {cls}(PlasticityIntervention):
    """Shrink weights now and then (authors, year, arXiv number, equation).

    Attributes:
        shrink: What stays of the weights.
        layers: The part of the network that is shrunk.
        when: The moments.
    """

    name = "{plugin}"
    changes = frozenset({{"parameters", "copies", "optimizer state"}})
    shrink: float = field(default=0.9, validator=between(0, 1))
    layers: str = "whole"
    when: Schedule = Every(10_000)

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Refuse layers that are not there now, not hours later."""
        matching(model, self.layers)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        """Smaller weights in the model and in each of its copies."""
        for name, _ in matching(subject.model, self.layers):
            yield Overwrite(name, self._shrunk)

    def _shrunk(self, weight: Tensor) -> Tensor:
        return self.shrink * weight
'''
_TEST = '''\
"""What {cls} claims, and the common law."""

import torch
from {module} import {cls}

from plastic.testing import check_plugin


def test_it_shrinks() -> None:
    assert torch.equal({cls}(shrink=0.5)._shrunk(torch.ones(2)), torch.full((2,), 0.5))


def test_it_is_sound() -> None:
    assert check_plugin({cls}, on=("plain",), beside=("sam",)).faults == []
'''


def write_package(package: str, folder: Path | None = None) -> Path:
    """Write the package's files into a folder of its name, here or in `folder`; gives the new folder.

    Raises:
        UsageError: If the name will not do, for the package or for its plugin, or the folder is there.
    """
    module = package.replace("-", "_")
    if not _NAME.fullmatch(package) or keyword.iskeyword(module):
        raise UsageError(
            f"{package!r} is no name for a package; use lower-case words joined by hyphens, as in plastic-clipping"
        )
    if module in ("plastic", "plastic_rl"):
        raise UsageError(f"{package!r} is this package's own name; choose another, as plastic-clipping")
    plugin = module.removeprefix("plastic_")
    cls = "".join(word.capitalize() for word in plugin.split("_"))
    for name in (plugin, cls):
        if not name.isidentifier() or keyword.iskeyword(name):
            raise UsageError(
                f"{package!r} would hold {plugin}.py with a class {cls}, and Python takes {name!r} for no name; choose "
                "another, as plastic-clipping"
            )
    taken = registry(warn=False).all("plugin").get(plugin)
    if taken is not None and taken.package != package:
        raise UsageError(
            f"{package!r} would bring a plugin {plugin!r}, which is there already, from {taken.package}; choose "
            "another name, as plastic-clipping"
        )
    root = (folder or Path()) / package
    if root.exists():
        raise UsageError(f"{str(root)!r} is there already; choose another name, or move it away")
    words = {"package": package, "module": module, "plugin": plugin, "cls": cls}
    for path, text in (
        ("pyproject.toml", _PYPROJECT),
        ("README.md", _README),
        (f"src/{module}/__init__.py", _HOOK),
        (f"src/{module}/{plugin}.py", _PLUGIN),
        (f"tests/test_{plugin}.py", _TEST),
    ):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.format(**words), encoding="utf-8")
    return root
