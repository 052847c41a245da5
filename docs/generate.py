"""Write the tables of the documentation from the code, where a page asks for one.

    python docs/generate.py            write them
    python docs/generate.py --check    write nothing; name the pages whose tables are not up to date, and exit 1

A page asks by a pair of comments, and what stands between them is replaced:

    <!-- table: plugin sam -->
    <!-- end -->
"""

import argparse
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from plastic.cli.describe import in_one_line, kind, options_of
from plastic.core.agent import Agent, Preset
from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Kind, Registered, Registry
from plastic.core.recipes.settings import Settings

DOCS = Path(__file__).parent
OURS = "plastic-rl"
KINDS: Mapping[str, Kind] = {"plugin": "plugin", "agent": "agent", "environments": "environment family"}
TABLE = re.compile(r"<!-- table: (?P<words>[^>]*?) -->\n.*?<!-- end -->", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check every page below a folder; the number of pages that were not up to date decides the exit code."""
    parser = argparse.ArgumentParser(description="Write the tables of the documentation from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not up to date")
    parser.add_argument("folder", nargs="?", type=Path, default=DOCS, help="of the pages; docs/ if left out")
    arguments = parser.parse_args(argv)
    registry = Registry().load()
    stale = []
    for page in sorted(arguments.folder.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        wanted = written(text, registry, page)
        if text != wanted:
            stale.append(page)
            if not arguments.check:
                page.write_text(wanted, encoding="utf-8")
    for page in stale:
        print(f"{page}: {'not up to date; run python docs/generate.py' if arguments.check else 'written'}")
    return 1 if stale and arguments.check else 0


def written(text: str, registry: Registry, page: Path) -> str:
    """A page with its tables as they are by now.

    Raises:
        SystemExit: If a table is asked for that nothing gives, or is not closed.
    """
    if len(TABLE.findall(text)) != text.count("<!-- table: "):
        sys.exit(f"{page}: a table has no <!-- end -->")

    def fill(match: re.Match[str]) -> str:
        words = match["words"].split()
        try:
            table = _TABLES[words[0]](registry, *words[1:])
        except (KeyError, TypeError, StopIteration):
            sys.exit(f"{page}: nothing gives the table {match['words']!r}")
        return f"<!-- table: {match['words']} -->\n{table}<!-- end -->"

    return TABLE.sub(fill, text)


def _known(registry: Registry, of: Kind) -> dict[str, Registered]:
    # what other packages have brought into this environment is no part of our pages
    return {name: entry for name, entry in registry.all(of).items() if entry.package == OURS}


def _options(of: str) -> Callable[..., str]:
    def table(registry: Registry, name: str) -> str:
        return _options_table(_known(registry, KINDS[of])[name].cls)

    return table


def _options_table(cls: type) -> str:
    rows = [(f"`{one.name}`", one.type, f"`{one.default}`", one.meaning) for one in options_of(cls)]
    return _table(("option", "type", "default", "meaning"), rows)


def _plugins(registry: Registry) -> str:
    rows = [
        (f"[`{name}`]({name}.md)", kind(entry.cls), in_one_line(entry.cls))
        for name, entry in _known(registry, "plugin").items()
    ]
    return _table(("plugin", "kind", "what it does"), rows)


def _presets(registry: Registry, name: str) -> str:
    agent: type[Agent] = _known(registry, "agent")[name].cls
    rows = [
        (f"`{preset}`", one.observations or "any", one.description, _differences(one), one.source)
        for preset, one in agent.presets.items()
    ]
    return _table(("preset", "for", "what it is", "what it sets", "source"), rows)


def _differences(preset: Preset) -> str:
    pictures = [one for family in preset.environment.values() for one in _settings(family)]
    return ", ".join([*pictures, *_settings(preset.settings), *(f"`{_chosen(one)}`" for one in preset.plugins)]) or (
        "the defaults"
    )


def _settings(settings: Mapping[str, object]) -> list[str]:
    return [f"`{name}={_typed(value)}`" for name, value in settings.items()]


def _values(registry: Registry, name: str) -> str:
    """Options of plugins that presets and tasks set where such a plugin is chosen, and settings of tasks."""
    agent: type[Agent] = _known(registry, "agent")[name].cls
    rows = [
        *((f"`--preset {preset}`", _where_chosen(one.values)) for preset, one in agent.presets.items() if one.values),
        *(
            (
                _where(task, one.presets),
                ", ".join([*_settings(one.settings), *filter(None, [_where_chosen(one.values)])]),
            )
            for task, one in agent.tasks.items()
        ),
    ]
    return _table(("where", "what holds there unless you say otherwise"), rows)


def _where(task: str, presets: Collection[str] | None) -> str:
    return f"`{task}`" if presets is None else f"`{task}` with {', '.join(f'`--preset {name}`' for name in presets)}"


def _where_chosen(values: Mapping[str, Mapping[str, object]]) -> str:
    return ", ".join(f"`{_chosen(Chosen(plugin, options))}`" for plugin, options in values.items())


def _chosen(one: Chosen) -> str:
    options = ",".join(f"{name}={_typed(value)}" for name, value in one.written.items())
    return f"{one.name}:{options}" if options else one.name


def _typed(value: object) -> str:
    """As it is typed on the command line."""
    if isinstance(value, Mapping):
        if set(value) <= {"every", "of"} and value.get("of", "updates") == "updates":
            return str(value["every"])
        return f"{{{', '.join(f'{key} = {_quoted(item)}' for key, item in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


_TABLES: Mapping[str, Callable[..., str]] = {
    "plugin": _options("plugin"),
    "agent": _options("agent"),
    "environments": _options("environments"),
    "run": lambda registry: _options_table(Settings),
    "plugins": _plugins,
    "presets": _presets,
    "values": _values,
}

if __name__ == "__main__":
    sys.exit(main())
