"""Recipes: what a run is made of, in TOML and back."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from attrs import evolve, field, frozen

from plastic.core.errors import UsageError, suggestion
from plastic.core.recipes import option_text, options


@frozen
class Chosen:
    """A plugin by name, with the options that differ from its defaults, and the learners it acts on.

    Attributes:
        name: A name, or `module:Class`.
        options: By name.
        on: Names of the agent's learners, joined by `+`, `both` or `all`; None is the plugin's own choice.
    """

    name: str
    options: Mapping[str, Any] = field(factory=dict)
    on: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Chosen":
        """`sam:rho=0.05,scope=encoder`, as typed; a `module:Class` is followed by its options alike.

        >>> Chosen.parse("my.clip:Clip:bound=2,on=critic")
        Chosen(name='my.clip:Clip', options={'bound': 2}, on='critic')
        """
        head, equals, _ = text.partition("=")
        name, colon, first = head.rpartition(":") if equals else (text, "", "")
        if equals and not colon:
            raise UsageError(f"{text!r}: write a plugin as NAME or NAME:OPTION=VALUE,OPTION=VALUE")
        name = name.rstrip(":")
        return cls.of(name, option_text.parse(text[len(head) - len(first) :], name) if equals else {})

    @classmethod
    def of(cls, name: str, options: Mapping[str, Any]) -> "Chosen":
        """With `on` among the options, as it is written.

        Raises:
            UsageError: If `on` is no word.
        """
        on = options.get("on")
        if not isinstance(on, str | None):
            raise UsageError(f"{name}: on must be names of learners joined by +, not {on!r}")
        return cls(name, {key: value for key, value in options.items() if key != "on"}, on)

    @property
    def written(self) -> Mapping[str, Any]:
        """The options with `on` among them."""
        return self.options if self.on is None else {**self.options, "on": self.on}

    def __str__(self) -> str:
        return self.name + "".join(f" {name}={value}" for name, value in self.written.items())


@frozen
class Recipe:
    """Everything that decides a run: same recipe and seed, same run.

    Attributes:
        agent: A name, or `module:Name`.
        env: A Gymnasium id or a short name; empty is the agent's own.
        preset: The agent's named configuration; None picks the one for the kind of observation, and
            `none` starts from the agent's bare defaults.
        plugins: In order. One that the preset has too gives that one further options.
        seed: Of every random stream.
        steps: Agent steps of the whole run.
        device: `cpu`, `cuda`, `cuda:1` ...
        settings: Settings of the run, the agent and the environment by name.
    """

    agent: str = "rainbow"
    env: str = ""
    preset: str | None = None
    plugins: Sequence[Chosen] = ()
    seed: int = 0
    steps: int = 100_000
    device: str = "cpu"
    settings: Mapping[str, Any] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for name, least in (("steps", 1), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise UsageError(f"{name} must be an integer of at least {least}, not {value!r}")

    def toml(self) -> str:
        """As a TOML document."""
        document = tomlkit.document()
        for name in ("agent", "env", "preset", "seed", "steps", "device"):
            if getattr(self, name) not in (None, ""):
                document[name] = getattr(self, name)
        if self.settings:
            document["settings"] = {key: _plain(value) for key, value in self.settings.items()}
        if self.plugins:
            tables = tomlkit.aot()
            for chosen in self.plugins:
                tables.append(tomlkit.item({"name": chosen.name} | {k: _plain(v) for k, v in chosen.written.items()}))
            document["plugins"] = tables
        return tomlkit.dumps(document)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update(value)
        return inline
    return value


def from_toml(text: str, origin: str = "the recipe") -> Recipe:
    """A recipe from a TOML document.

    Raises:
        UsageError: If it is no TOML, or holds a key or a type that a recipe has not.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin} is no TOML: {error}") from error
    known = options.fields(Recipe)
    for key in table:
        if key not in known:
            raise UsageError(f"{origin} has an unknown key {key!r}; {suggestion(key, known)}")
    settings = table.pop("settings", {})
    if not isinstance(settings, dict):
        raise UsageError(f"{origin}: settings must be a table")
    plugins = table.pop("plugins", [])
    if not isinstance(plugins, list):
        raise UsageError(f"{origin}: plugins must be a list; write each as a table under [[plugins]]")
    preset = table.pop("preset", None)  # here `none` is a preset, not the absence of one
    if not isinstance(preset, str | None):
        raise UsageError(f"{origin}: preset must be a word, not {preset!r}")
    checked: Recipe = options.build(Recipe, table, origin)
    chosen = tuple(_chosen(entry, origin) for entry in plugins)
    return evolve(checked, preset=preset, plugins=chosen, settings=settings)


def _chosen(entry: Any, origin: str) -> Chosen:
    if isinstance(entry, str):
        return Chosen.parse(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise UsageError(f"{origin}: each of [[plugins]] needs a name")
    return Chosen.of(entry["name"], {key: value for key, value in entry.items() if key != "name"})


def read(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        UsageError: If it cannot be read, or is no recipe.
    """
    try:
        return from_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
