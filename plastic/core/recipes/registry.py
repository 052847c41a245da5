"""The registry: which plugins, agents and environments there are, and which package brought each."""

import sys
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

import attrs
import pluggy
from attrs import frozen

from plastic.core import hookspecs
from plastic.core.agent import Agent
from plastic.core.environment import EnvFamily
from plastic.core.errors import UsageError, suggestion
from plastic.core.intervention import BUILD_STAGES, PlasticityIntervention
from plastic.core.modifier import MODIFIER_STAGES, OptimizerModifier
from plastic.core.plugin import CHANGES, CLAIMS, NEEDS, REACHES, Plugin
from plastic.core.probe import Probe
from plastic.core.recipes.options import fields, refuse_unwritable
from plastic.core.recipes.seams import refuse_wrong_seams

Kind = Literal["plugin", "agent", "environment family"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_HOOKS: Mapping[str, tuple[type, Kind]] = {
    "plastic_modifiers": (OptimizerModifier, "plugin"),
    "plastic_interventions": (PlasticityIntervention, "plugin"),
    "plastic_probes": (Probe, "plugin"),
    "plastic_agents": (Agent, "agent"),
    "plastic_envs": (EnvFamily, "environment family"),
}


_NEEDED: Mapping[type, tuple[str, ...]] = {Agent: ("presets", "defaults", "actions", "environment", "learns")}
_STAGES: Mapping[type[OptimizerModifier | PlasticityIntervention], tuple[str, ...]] = {
    OptimizerModifier: MODIFIER_STAGES,
    PlasticityIntervention: BUILD_STAGES,
}


@frozen
class Registered:
    """A class and the package it came from."""

    cls: type[Any]
    package: str


class Registry:
    """Names to classes. A package that fails is left out and remembered in `broken`; the rest works."""

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}  # package -> why
        self._known: dict[Kind, dict[str, Registered]] = {kind: {} for kind in KINDS}

    def load(self, points: Iterable[EntryPoint] | None = None) -> "Registry":
        """Take in every installed package with an entry point in group `plastic`, our own included."""
        found = entry_points(group=hookspecs.GROUP) if points is None else points
        own_first = sorted(found, key=lambda point: (_package(point) != "plastic-rl", _package(point), point.name))
        for point in own_first:
            package = _package(point)
            try:
                self.add(point.load(), package)
            except (Exception, SystemExit) as error:  # whatever a foreign module does, the rest must stay usable
                if package == "plastic-rl":
                    raise
                self.broken[package] = _in_one_line(error)
        return self

    def add(self, namespace: object, package: str) -> None:
        """Take in what one package's hooks give, all of it or, after an error, nothing.

        Raises:
            UsageError: If a hook is misspelt, has another signature, or gives something else than
                named attrs classes of its kind, or a name that is taken.
        """
        manager = pluggy.PluginManager(hookspecs.GROUP)
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(namespace, package)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise UsageError(f"{package}: {' '.join(str(error).split())}") from error
        if not manager.get_hookcallers(namespace):
            raise UsageError(
                f"{package}: {namespace!r} implements no hook; mark functions named as hooks with @hookimpl"
            )
        new: list[tuple[Kind, Registered]] = []
        for hook, (base, kind) in _HOOKS.items():
            caller = getattr(manager.hook, hook)
            given = caller()
            if len(given) < len(caller.get_hookimpls()):  # pluggy leaves None out
                raise UsageError(f"{package}: {hook} returned None; return a list of classes")
            for classes in given:
                for cls in _checked(classes, hook, base, package):
                    self._refuse_doubled(cls, kind, package, [entry for k, entry in new if k == kind])
                    new.append((kind, Registered(cls, package)))
        for kind, entry in new:
            self._known[kind][entry.cls.name] = entry

    def _refuse_doubled(self, cls: type[Any], kind: Kind, package: str, new: Iterable[Registered]) -> None:
        taken = {entry.cls.name: entry for entry in (*self._known[kind].values(), *new)}
        if cls.name in taken:
            other = taken[cls.name].package
            raise UsageError(f"{package}: the {kind} {cls.name!r} is already there, from {other}; rename one")

    def get(self, kind: Kind, name: str) -> type[Any]:
        """The class of that name.

        Raises:
            UsageError: If there is none, with the nearest name and the packages that failed to load.
        """
        known = self._known[kind]
        if name in known:
            return known[name].cls
        raise UsageError(f"no {kind} {name!r}; {suggestion(name, known)}{self.failures()}")

    def failures(self) -> str:
        """The end of an error about an unknown name: which packages could not be asked."""
        return "".join(f" (the package {name} failed to load: {why})" for name, why in self.broken.items())

    def all(self, kind: Kind) -> dict[str, Registered]:
        """Everything of one kind by name, in the order of registration."""
        return dict(self._known[kind])

    def find(self, kind: Kind, name: str) -> type[Any]:
        """As `get`; `module:Name` is imported instead, for classes that no package registers."""
        module, separator, attribute = name.partition(":")
        if not separator:
            return self.get(kind, name)
        bases: tuple[type, ...] = tuple(base for base, of in _HOOKS.values() if of == kind)
        if module in self._known[kind]:
            raise UsageError(f"{name!r} gives {module} no value; write {module}:OPTION=VALUE")
        if "" not in sys.path:
            sys.path.insert(0, "")  # as `python -m` does: a module in the folder one stands in
        try:
            cls = getattr(__import__(module, fromlist=[attribute]), attribute)
        except (Exception, SystemExit) as error:  # whatever a foreign module raises
            raise UsageError(f"cannot load {name!r}: {_in_one_line(error)}") from error
        if not (isinstance(cls, type) and issubclass(cls, bases)):
            raise UsageError(f"{name!r} is no {kind}: it is not a subclass of {' or '.join(b.__name__ for b in bases)}")
        hook = next(hook for hook, (base, _) in _HOOKS.items() if issubclass(cls, base))
        return _checked([cls], hook, _HOOKS[hook][0], module)[0]


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, UsageError) else f"{type(error).__name__}: {text}"


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _checked(classes: Any, hook: str, base: type, package: str) -> list[type[Any]]:
    if not isinstance(classes, list | tuple):
        raise UsageError(f"{package}: {hook} returned {classes!r}; return a list of classes")
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise UsageError(f"{package}: {hook} returned {cls!r}, which is not a subclass of {base.__name__}")
        if not isinstance(getattr(cls, "name", None), str):
            raise UsageError(f'{package}: {cls.__name__} has no name; add `name = "..."` to the class')
        if not attrs.has(cls) or "__attrs_attrs__" not in vars(cls):
            raise UsageError(
                f"{package}: {cls.__name__} is no attrs class; decorate it with attrs.frozen or attrs.define"
            )
        refuse_unwritable(cls, f"{package}: {cls.__name__}")
        for needed in _NEEDED.get(base, ()):
            if not hasattr(cls, needed):
                raise UsageError(f"{package}: {cls.__name__} does not say `{needed}`; see {base.__name__}")
        if issubclass(cls, Plugin):
            _check_vocabulary(cls, package)
            refuse_wrong_seams(cls, base, f"{package}: {cls.__name__}")
    return list(classes)


def _check_vocabulary(cls: type[Plugin], package: str) -> None:
    several: Mapping[str, Collection[str]] = {"claims": CLAIMS, "changes": CHANGES, "needs": NEEDS}
    for what, known in several.items():
        for word in getattr(cls, what):
            if word not in known:
                raise UsageError(f"{package}: {cls.__name__}.{what} holds {word!r}; {suggestion(str(word), known)}")
    single: dict[str, Collection[str]] = {"reach": REACHES}
    for kind, stages in _STAGES.items():
        if issubclass(cls, kind) and not hasattr(cls.stage, "__get__"):  # a property or a field: each instance's own
            single["stage"] = stages
    for what, known in single.items():
        word = getattr(cls, what)
        if word not in known:
            raise UsageError(f"{package}: {cls.__name__}.{what} is {word!r}; {suggestion(str(word), known)}")
    names = set(fields(cls))
    if "on" in names:
        raise UsageError(f"{package}: {cls.__name__} has an option `on`, which says where any plugin acts; rename it")
    edits = issubclass(cls, PlasticityIntervention) and cls.edits is not PlasticityIntervention.edits
    if (edits or issubclass(cls, Probe)) and "when" not in names and not hasattr(cls, "when"):
        raise UsageError(f"{package}: {cls.__name__} acts at moments but has no field `when`")
