"""The registry: what packages bring in, and how a broken one is told from the rest."""

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import frozen

from plastic.core.errors import UsageError
from plastic.core.hookspecs import GROUP, hookimpl
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import ModifierStage, OptimizerModifier
from plastic.core.probe import Probe
from plastic.core.recipes.registry import KINDS, Registry
from plastic.core.schedule import Always, Schedule
from plastic.core.subject import Subject
from tests.core.games import Games, Hooks, registry

FRAME = """\
from attrs import frozen
from plastic.core.hookspecs import hookimpl
from plastic.core.modifier import ModifierStage, OptimizerModifier
"""
CLIP = """
@frozen(eq=False)
class Clip(OptimizerModifier):
    name = "{name}"
    bound: float = 1.0
"""
HOOK = """
@hookimpl
def plastic_modifiers():
    return [Clip]
"""


@frozen(eq=False)
class Clip(OptimizerModifier):
    name = "clip"
    bound: float = 1.0


def hooks(**returned: Any) -> object:
    """A namespace whose hooks return these."""
    namespace = SimpleNamespace()
    for name, value in returned.items():
        scope: dict[str, Any] = {"value": value}
        exec(f"def {name}(): return value", scope)
        setattr(namespace, name, hookimpl(scope[name]))
    return namespace


Installed = Callable[..., EntryPoint]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Puts a module on the path and gives the entry point of a distribution that has it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def installed(package: str, source: str) -> EntryPoint:
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\nown = {module}\n", encoding="utf-8")
        (point,) = Distribution.at(info).entry_points
        return point

    yield installed
    for name in set(sys.modules) - before:
        del sys.modules[name]


# ------------------------------------------------------------------ what is built in


def test_the_built_in_ones_come_in_by_entry_points() -> None:
    known = Registry().load(
        point for point in entry_points(group=GROUP) if point.dist and point.dist.name == "plastic-rl"
    )
    assert known.broken == {}
    assert {"sam", "swa", "l2", "layer_norm", "crelu", "reset", "shrink_perturb", "plasticity_injection"} <= set(
        known.all("plugin")
    )
    assert "rainbow" in known.all("agent")
    assert {entry.package for kind in KINDS for entry in known.all(kind).values()} == {"plastic-rl"}


def test_get_gives_the_class() -> None:
    assert registry().get("environment family", "games") is Games


# ------------------------------------------------------------------ packages


def test_a_package_comes_in_by_its_entry_point(install: Installed) -> None:
    known = Registry().load([install("clip-package", FRAME + CLIP.format(name="clip") + HOOK)])
    assert known.broken == {}
    assert known.get("plugin", "clip").__name__ == "Clip"
    assert known.all("plugin")["clip"].package == "clip-package"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("import sys\nsys.exit('bye')", "SystemExit: bye"),
        ("def broken(:", "SyntaxError: "),
        (FRAME + "\n@hookimpl\ndef plastic_modifiers():\n    raise KeyError('later')\n", "KeyError: 'later'"),
        (FRAME + "\n@hookimpl\ndef plastic_modifiers():\n    return Clip\n", "NameError: "),
        ("x = 1", "implements no hook"),
    ],
)
def test_a_package_that_fails_is_named_and_the_rest_stays_usable(install: Installed, source: str, why: str) -> None:
    points = [install("bad-package", source), install("good-package", FRAME + CLIP.format(name="clip") + HOOK)]
    known = Registry().load(points)
    assert list(known.broken) == ["bad-package"]
    assert why in known.broken["bad-package"]
    assert "\n" not in known.broken["bad-package"]
    assert known.get("plugin", "clip").__name__ == "Clip"
    with pytest.raises(UsageError) as caught:
        known.get("plugin", "bad")
    assert str(caught.value).startswith("no plugin 'bad'; known: clip (the package bad-package failed to load: ")


def test_our_own_package_may_not_fail_quietly(install: Installed) -> None:
    point = install("plastic-rl", "raise RuntimeError('ours')")
    with pytest.raises(RuntimeError, match="ours"):
        Registry().load([point])


def test_a_name_that_another_package_has_is_refused_to_the_later_one(install: Installed) -> None:
    source = FRAME + CLIP.format(name="clip") + HOOK
    known = Registry().load([install("b-package", source), install("a-package", source)])
    assert known.all("plugin")["clip"].package == "a-package"  # by name, whatever the order of the installation
    assert known.broken == {"b-package": "b-package: the plugin 'clip' is already there, from a-package; rename one"}


def test_a_name_of_a_built_in_one_is_refused(install: Installed) -> None:
    point = install("a-package", FRAME + CLIP.format(name="sam") + HOOK)
    own = [one for one in entry_points(group=GROUP) if one.name == "plugins"]
    known = Registry().load([point, *own])
    assert known.broken == {"a-package": "a-package: the plugin 'sam' is already there, from plastic-rl; rename one"}
    assert known.get("plugin", "sam").__module__ == "plastic.plugins.modifiers.sam"


def test_a_package_comes_in_whole_or_not_at_all() -> None:
    known = registry()
    with pytest.raises(UsageError, match="the plugin 'clip' is already there, from mine"):
        known.add(hooks(plastic_modifiers=[Clip], plastic_probes=[], plastic_interventions=[Twice]), "mine")
    with pytest.raises(UsageError, match="no plugin 'clip'"):
        known.get("plugin", "clip")


@frozen(eq=False)
class Twice(PlasticityIntervention):
    name = "clip"  # one name over all three kinds of plugins


# ------------------------------------------------------------------ classes and hooks that are wrong


class NotAttrs(OptimizerModifier):
    name = "not_attrs"


class Child(Clip):
    name = "child"  # inherits attrs' marks, and would lose its own fields


@frozen(eq=False)
class Nameless(OptimizerModifier):
    pass


@frozen(eq=False)
class Numbered(OptimizerModifier):
    name = 3  # type: ignore[assignment]


@frozen(eq=False)
class Greedy(OptimizerModifier):
    name = "greedy"
    claims = frozenset({"ascnet"})  # type: ignore[arg-type]


@frozen(eq=False)
class Vague(OptimizerModifier):
    name = "vague"
    changes = frozenset({"everything"})  # type: ignore[arg-type]


@frozen(eq=False)
class Needy(OptimizerModifier):
    name = "needy"
    needs = frozenset({"polcy"})  # type: ignore[arg-type]


@frozen(eq=False)
class Wrapping(PlasticityIntervention):
    name = "wrapping"
    stage = "wraps"  # type: ignore[assignment]


@frozen(eq=False)
class Building(OptimizerModifier):
    name = "building"
    stage = "wrap"  # type: ignore[assignment]  # an intervention's


@frozen(eq=False)
class Choosing(OptimizerModifier):
    name = "choosing"
    late: bool = False

    @property
    def stage(self) -> ModifierStage:  # type: ignore[override]
        return "average" if self.late else "decay"


@frozen(eq=False)
class Timeless(PlasticityIntervention):
    name = "timeless"

    def edits(self, subject: Subject) -> Sequence[Any]:
        return ()


@frozen(eq=False)
class TimelessProbe(Probe):
    name = "timeless_probe"

    def measure(self, subject: Subject) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ({"plastic_modifiers": [NotAttrs]}, "mine: NotAttrs is no attrs class; decorate it with attrs.frozen or"),
        ({"plastic_modifiers": [Child]}, "mine: Child is no attrs class; decorate it"),
        ({"plastic_modifiers": [Nameless]}, 'mine: Nameless has no name; add `name = "..."` to the class'),
        ({"plastic_modifiers": [Numbered]}, "mine: Numbered has no name"),
        ({"plastic_modifiers": [Greedy]}, "mine: Greedy.claims holds 'ascnet'; did you mean 'ascent'?"),
        ({"plastic_modifiers": [Vague]}, "mine: Vague.changes holds 'everything'; known: copies, evaluation"),
        ({"plastic_modifiers": [Needy]}, "mine: Needy.needs holds 'polcy'; did you mean 'policy'?"),
        ({"plastic_interventions": [Wrapping]}, "mine: Wrapping.stage is 'wraps'; did you mean 'wrap'?"),
        (
            {"plastic_modifiers": [Building]},
            "mine: Building.stage is 'wrap'; known: ascent, average, clip, decay, weights",
        ),
        ({"plastic_interventions": [Timeless]}, "mine: Timeless acts at moments but has no field `when`"),
        ({"plastic_probes": [TimelessProbe]}, "mine: TimelessProbe acts at moments but has no field `when`"),
        ({"plastic_probes": [Clip]}, "mine: plastic_probes returned <class"),
        (
            {"plastic_modifiers": [Clip()]},
            "mine: plastic_modifiers returned Clip(bound=1.0), which is not a subclass of",
        ),
        ({"plastic_modifiers": Clip}, "mine: plastic_modifiers returned <class"),
        ({"plastic_modifiers": "clip"}, "mine: plastic_modifiers returned 'clip'; return a list of classes"),
        ({"plastic_modifiers": (Clip for _ in "x")}, "mine: plastic_modifiers returned <generator"),
        ({"plastic_modifiers": None}, "mine: plastic_modifiers returned None; return a list of classes"),
        ({"plastic_modifiers": [Clip, Clip]}, "mine: the plugin 'clip' is already there, from mine; rename one"),
        ({"plastic_modifier": [Clip]}, "mine: unknown hook 'plastic_modifier'"),
        ({}, "mine: namespace() implements no hook; mark functions named as hooks with @hookimpl"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(returned: dict[str, Any], words: str) -> None:
    known = Registry()
    with pytest.raises(UsageError) as caught:
        known.add(hooks(**returned), "mine")
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)
    assert known.all("plugin") == {}


def test_a_stage_that_the_options_decide_is_the_instances_own() -> None:
    known = Registry()
    known.add(hooks(plastic_modifiers=[Choosing]), "mine")
    assert known.get("plugin", "choosing") is Choosing


def test_a_hook_of_another_signature_is_refused() -> None:
    namespace = SimpleNamespace()

    @hookimpl
    def plastic_modifiers(registry: Any) -> list[Any]:
        return [Clip]

    namespace.plastic_modifiers = plastic_modifiers
    with pytest.raises(UsageError) as caught:
        Registry().add(namespace, "mine")
    message = str(caught.value)
    assert message.startswith("mine: Plugin 'mine' for hook 'plastic_modifiers'")
    assert "registry" in message
    assert "\n" not in message


def test_a_class_may_inherit_its_schedule() -> None:
    @frozen(eq=False)
    class Scheduled(PlasticityIntervention):
        name = "scheduled"
        when: Schedule = Always()

        def edits(self, subject: Subject) -> Sequence[Any]:
            return ()

    @frozen(eq=False)
    class Heir(Scheduled):
        name = "heir"

    known = Registry()
    known.add(hooks(plastic_interventions=(Scheduled, Heir)), "mine")
    assert list(known.all("plugin")) == ["scheduled", "heir"]


def test_an_empty_list_is_a_package_with_nothing_of_a_kind() -> None:
    known = Registry()
    known.add(hooks(plastic_modifiers=[], plastic_probes=[]), "mine")
    assert known.all("plugin") == {}


# ------------------------------------------------------------------ looking up


def test_an_unknown_name_suggests_the_nearest() -> None:
    known = registry()
    with pytest.raises(UsageError, match=r"^no plugin 'smm'; did you mean 'sam'\?$"):
        known.get("plugin", "smm")
    with pytest.raises(UsageError, match=r"^no agent 'zzz'; known: drqv2, rainbow, sac$"):
        known.get("agent", "zzz")
    with pytest.raises(UsageError, match=r"^no environment family 'x'; known: none$"):
        Registry().get("environment family", "x")


def test_a_class_by_module_and_name(install: Installed) -> None:
    install("loose", FRAME + CLIP.format(name="clip") + "\nclass Plain: pass\n")
    known = Registry()
    assert known.find("plugin", "loose:Clip").__name__ == "Clip"
    assert known.all("plugin") == {}
    known.add(Hooks, "games")
    assert known.find("environment family", "games") is Games


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loose:Clap", "cannot load 'loose:Clap': AttributeError: "),
        ("loose:", "cannot load 'loose:': AttributeError: "),
        (":Clip", "cannot load ':Clip': ValueError: "),
        ("nowhere:Clip", "cannot load 'nowhere:Clip': ModuleNotFoundError: No module named 'nowhere'"),
        ("exits:Clip", "cannot load 'exits:Clip': SystemExit: 3"),
        ("loose:Plain", "'loose:Plain' is no plugin: it is not a subclass of OptimizerModifier or"),
        ("loose:text", "'loose:text' is no plugin"),
        ("loose:Bare", "loose: Bare is no attrs class"),
        ("sam:rho", "'sam:rho' gives sam no value; write sam:OPTION=VALUE"),
    ],
)
def test_a_class_by_module_and_name_that_will_not_do(install: Installed, name: str, words: str) -> None:
    install(
        "loose",
        FRAME
        + CLIP.format(name="clip")
        + "\nclass Plain: pass\nclass Bare(OptimizerModifier):\n    name = 'bare'\ntext = 'Clip'\n",
    )
    install("exits", "raise SystemExit(3)")
    with pytest.raises(UsageError) as caught:
        registry().find("plugin", name)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_a_plugin_is_no_agent() -> None:
    with pytest.raises(
        UsageError, match=r"'plastic\.plugins\.modifiers\.sam:SAM' is no agent: it is not a subclass of Agent"
    ):
        registry().find("agent", "plastic.plugins.modifiers.sam:SAM")
