"""`plastic plugins`: what is installed, and what each plugin does and can be told."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cyclopts import App

if TYPE_CHECKING:
    from rich.console import RenderableType

    from plastic.core.plugin import Plugin, Reach

_SCHEDULES = (
    "A schedule is a number of updates ({meaning}), always, never, "
    '{{every = N, of = "frames", start = N, stop = N}}, or {{at = N, of = "frames"}}; '
    "the units are updates, agent_steps, frames and episodes."
)

plugins = App(
    name="plugins",
    help="List the plugins that are installed; `plugins show NAME` says all about one.",
    sort_key=9,  # the last in the list of commands
)


@plugins.default
def table() -> int:
    """List the plugins that are installed."""
    from plastic.cli.describe import in_one_line, kind
    from plastic.cli.listing import Listing
    from plastic.cli.output import show
    from plastic.cli.packages import registry

    known = registry(warn=False)
    rows = [
        (name, kind(entry.cls), in_one_line(entry.cls), entry.package) for name, entry in known.all("plugin").items()
    ]
    show(Listing(("plugin", "kind", "what it does", "package"), rows, whole=("plugin", "kind")))
    for package, why in known.broken.items():
        show("", f"{package} failed to load and is left out: {' '.join(why.split())}")
    return 0


_REACH: "Mapping[Reach, str]" = {
    "networks": "every network it finds something in, or those that on=NAME says",
    "main": "the agent's main network (a critic), or the one that on=NAME says",
    "everything": "every network and the temperature, or what on=NAME says",
}


@plugins.command
def show(name: str, /) -> int:
    """Show all about one plugin: what it does, its options, what it claims and changes.

    Args:
        name: Its name, or module:Class of your own.
    """
    from plastic.cli.describe import description, reflowed
    from plastic.cli.output import on_terminal
    from plastic.cli.output import show as write
    from plastic.cli.packages import registry

    known = registry()
    cls: type[Plugin] = known.find("plugin", name)
    entry = known.all("plugin").get(name)
    origin = entry.package if entry is not None else name.partition(":")[0]
    text = description(cls)
    write(_head(cls, origin), "", reflowed(text) if on_terminal() else text, "", _options(cls))
    return 0


@plugins.command
def check(name: str, /, *, alone: bool = False) -> int:
    """Try whether a plugin is sound: small runs on a plain network, SAC and Rainbow, alone and beside the others.

    Args:
        name: Its name, or module:Class of your own.
        alone: Leave the other plugins out, which takes most of the time.
    """
    from plastic.cli.certificate import certificate
    from plastic.cli.output import on_terminal
    from plastic.cli.output import show as write
    from plastic.cli.packages import registry
    from plastic.testing.check import check_plugin

    cls: type[Plugin] = registry().find("plugin", name)
    if on_terminal():
        from rich.console import Console

        with Console(stderr=True).status("") as status:
            found = check_plugin(
                cls, beside=() if alone else None, tell=lambda step: status.update(f"{cls.name}: {step}")
            )
    else:
        found = check_plugin(cls, beside=() if alone else None)
    write(certificate(found))
    return 0 if found.sound else 1


@plugins.command
def new(package: str, /) -> int:
    """Write a package with a plugin in it that installs and passes its own tests, to begin from.

    Args:
        package: Its name, which is also the folder's: lower-case words joined by hyphens.
    """
    from plastic.cli.new_package import write_package
    from plastic.cli.output import show as write

    folder = write_package(package)
    write(f"{folder}: written. Go on with:", f"    pip install -e '{folder}[test]' && pytest {folder}")
    return 0


def _head(cls: "type[Plugin]", package: str) -> "RenderableType":
    from plastic.cli.describe import kind
    from plastic.cli.plan import facts

    return facts(
        [
            ("plugin", cls.name),
            ("kind", kind(cls)),
            ("acts on", _REACH[cls.reach]),
            ("claims", _claims(cls)),
            ("changes", ", ".join(sorted(cls.changes)) or "nothing"),
            ("package", package),
        ]
    )


def _claims(cls: "type[Plugin]") -> str:
    from plastic.core.errors import UsageError
    from plastic.core.recipes import options

    try:
        always = options.build(cls, {}, cls.name).claimed() | cls.turns
    except UsageError:  # an option that it cannot do without
        always = cls.claims | cls.turns
    claimed = ", ".join(sorted(always)) or "nothing: it goes with every other plugin, and with itself"
    other = ", ".join(sorted(cls.claims - always))
    return f"{claimed}; with other options than the defaults also {other}" if other else claimed


def _options(cls: "type[Plugin]") -> "RenderableType":
    from rich.console import Group

    from plastic.cli.describe import options_of
    from plastic.cli.listing import Listing

    options = options_of(cls)
    if not options:
        return "It has no options."
    rows = [(option.name, option.type, option.default, option.meaning) for option in options]
    listed = Listing(("option", "type", "default", "meaning"), rows, whole=("option",))
    schedules = [option for option in options if option.type == "schedule"]
    if not schedules:
        return listed
    once = schedules[0].default.startswith("once")
    return Group(listed, "", _SCHEDULES.format(meaning="once at it" if once else "every so many"))
