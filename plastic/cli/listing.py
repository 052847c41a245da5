"""A table for a wide terminal, and blocks below each other for a narrow one, in which nothing is lost."""

import textwrap
from collections.abc import Sequence

from attrs import frozen
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_BETWEEN = 2  # columns of space between two of a table
_READABLE = 20  # columns that a cell of several words is given at least, or what it takes


@frozen
class Listing:
    """Rows under headings, the first cell of each its label.

    Where cells that stay whole and a readable width of the others do not fit side by side, headings are broken
    first; where that is too wide as well, a row is its label, with a line for each of its other cells below.

    Attributes:
        headings: One for each column.
        rows: As many cells each.
        whole: Headings of columns whose cells are never broken.
        numbers: Headings of columns that are flush right, and whole.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    whole: Sequence[str] = ()
    numbers: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = list(map(self._needed, range(len(self.headings))))
        broken = [_broken(heading, width) for heading, width in zip(self.headings, needed, strict=True)]
        for headings in (self.headings, broken):
            widths = [max(width, *map(cell_len, h.split("\n"))) for width, h in zip(needed, headings, strict=True)]
            if sum(widths) + _BETWEEN * (len(widths) - 1) <= options.max_width:
                yield self._table(headings)
                return
        yield from self._blocks()

    def _needed(self, column: int) -> int:
        """The least width that its cells can be read at."""
        cells = [row[column] for row in self.rows]
        widest = max(map(cell_len, cells), default=0)
        if self.headings[column] in (*self.whole, *self.numbers):
            return widest
        longest = max((cell_len(word) for cell in cells for word in cell.split()), default=0)
        return min(widest, max(_READABLE, longest))

    def _table(self, headings: Sequence[str]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _BETWEEN, 0, 0), header_style="bold")
        for name, heading in zip(self.headings, headings, strict=True):
            number = name in self.numbers
            table.add_column(
                Text(heading),
                justify="right" if number else "left",
                vertical="top",
                no_wrap=number or name in self.whole,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*row)
        return table

    def _blocks(self) -> RenderResult:
        first, *others = self.headings
        yield Text(first, style="bold", overflow="fold")
        for label, *cells in self.rows:
            yield Text(label, overflow="fold")
            below = Table.grid(padding=(0, _BETWEEN))
            below.add_column(overflow="fold")
            below.add_column(overflow="fold")
            for heading, cell in zip(others, cells, strict=True):
                below.add_row(heading, cell)
            yield Padding(below, (0, 0, 0, _BETWEEN))


def _broken(heading: str, width: int) -> str:
    """On lines of that width, or of its longest word."""
    return "\n".join(textwrap.wrap(heading, max([width, *map(len, heading.split())]), break_long_words=False))
