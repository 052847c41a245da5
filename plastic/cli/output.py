"""Writing to a terminal as wide as it is, and to anything else in plain lines of any length."""

import sys

from rich.console import Console, RenderableType

_ANY_WIDTH = 100_000  # columns; nothing is wrapped where nobody looks at it


def on_terminal() -> bool:
    """Whether standard output is a terminal that can redraw lines."""
    return sys.stdout.isatty() and not Console().is_dumb_terminal


def console() -> Console:
    """A console on standard output that prints text as it stands: no markup, no colours found by guessing."""
    if on_terminal():
        return Console(markup=False, highlight=False, emoji=False)
    return Console(markup=False, highlight=False, emoji=False, force_terminal=False, no_color=True, width=_ANY_WIDTH)


def show(*what: RenderableType, to: Console | None = None) -> None:
    """Print each thing on lines of its own.

    Args:
        what: Anything rich can print.
        to: The console a live display is on, so that this goes above it.
    """
    chosen = to or console()
    if chosen.is_terminal:
        for one in what:
            chosen.print(one)
        return
    with chosen.capture() as captured:
        for one in what:
            chosen.print(one)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines())  # tables pad their last column
    print(text, flush=True)
