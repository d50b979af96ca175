"""Tables for people: columns that are measured once, each line printed as it is.

In a pipe every line has all its columns. On a terminal that is too narrow, names are cut first and
then columns in the middle are left out, which is said; numbers are never cut.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence

_LEAST = 12
"""Cells to which a name may be cut."""


class Table:
    """A heading, columns set to the left and then to the right, and rows of text.

    Examples
    --------
    >>> table = Table("Tides", ["port"], ["metres"])
    >>> table.add_row("Brest", "7.2")
    >>> table.add_row("Cuxhaven", "3.0")
    >>> print(table.text().replace(table.rule, "-"))
    Tides
     port       metres
    -------------------
     Brest         7.2
     Cuxhaven      3.0
    """

    rule = "─"

    def __init__(
        self,
        heading: str | None,
        left: Sequence[str],
        right: Sequence[str] = (),
        *,
        bare: bool = False,
    ) -> None:
        self._heading, self._names = heading, [*left, *right]
        self._n_left, self._bare = len(left), bare
        self._rows: list[list[str]] = []
        self._blank_before: set[int] = set()

    def add_row(self, *cells: str) -> None:
        """A row; cells that are left out are empty."""
        row = [printable(cell) for cell in cells]
        self._rows.append(row + [""] * (len(self._names) - len(row)))

    def add_section(self) -> None:
        """Keep what follows apart from what is there."""
        self._blank_before.add(len(self._rows))

    def show(self) -> None:
        """Print it; a terminal gets what fits into its width, and names of columns in bold."""
        if not sys.stdout.isatty():
            sys.stdout.write(self.text() + "\n")
            return
        from rich.console import Console

        lines = list(self._lines(shutil.get_terminal_size().columns))
        if not self._bare:
            at = self._heading is not None
            sys.stdout.write("".join(line + "\n" for line in lines[:at]))
            Console(file=sys.stdout, highlight=False).print(
                lines[at], style="bold", markup=False, soft_wrap=True
            )
            lines = lines[at + 1 :]
        sys.stdout.write("".join(line + "\n" for line in lines))

    def text(self, most: int | None = None) -> str:
        """All lines, of at most so many cells where that can be."""
        return "\n".join(self._lines(most))

    def _lines(self, most: int | None) -> Iterator[str]:
        names, rows, n_left = self._names, self._rows, self._n_left
        measured = rows if self._bare else [names, *rows]
        widths = [max(map(width, column)) for column in zip(*measured, strict=True)]
        n_hidden = 0
        if most is not None and not self._bare:
            shown = _shown(widths, n_left, most)
            n_hidden = len(widths) - len(shown)
            if n_hidden:
                names, *rows = _without([names, *rows], shown)
                widths = [*(widths[i] for i in shown[:-1]), 1, widths[-1]]
            widths[:n_left] = _narrowed(widths, n_left, most)
        if self._heading is not None:
            yield printable(self._heading)
        if not self._bare:
            yield _line(names, widths, n_left)
            yield self._rule() * (sum(widths) + 3 * len(widths) - 1)
        for i, row in enumerate(rows):
            if i in self._blank_before:
                yield ""
            yield _line(row, widths, n_left)
        if n_hidden:
            columns = "1 column is" if n_hidden == 1 else f"{n_hidden:,} columns are"
            yield f"({columns} left out: make the terminal wider, or pipe this into less -S)"

    def _rule(self) -> str:
        try:
            self.rule.encode(sys.stdout.encoding or "ascii")
        except UnicodeEncodeError:
            return "-"
        return self.rule


def _shown(widths: Sequence[int], n_left: int, most: int) -> list[int]:
    """Columns that fit, without some in the middle; names may be cut, and the last one stays."""
    fixed = sum(min(w, _LEAST) + 3 for w in widths[:n_left]) - 1
    sizes = [w + 3 for w in widths[n_left:]]
    if fixed + sum(sizes) <= most or len(sizes) < 3:
        return list(range(len(widths)))
    room, count = most - fixed - sizes[-1] - 4, 0  # 4: of the sign that some are left out
    while count < len(sizes) - 2 and sizes[count] <= room:
        room -= sizes[count]
        count += 1
    return [*range(n_left + count), len(widths) - 1]


def _without(rows: list[list[str]], shown: list[int]) -> list[list[str]]:
    """Rows of these columns, with a sign before the last that there are more."""
    first = shown[:-1]
    return [[*(row[i] for i in first), "…" if any(row[1:]) else "", row[-1]] for row in rows]


def _narrowed(widths: Sequence[int], n_left: int, most: int) -> list[int]:
    """Widths of names, the widest cut first."""
    found = list(widths[:n_left])
    over = sum(widths) + 3 * len(widths) - 1 - most
    while over > 0 and found and max(found) > _LEAST:
        found[found.index(max(found))] -= 1
        over -= 1
    return found


def _line(cells: Sequence[str], widths: Sequence[int], n_left: int) -> str:
    made = []
    for i, (cell, most) in enumerate(zip(cells, widths, strict=True)):
        if cell.isascii():
            if len(cell) > most:
                cell = cell[: most - 1] + "…"
            made.append(cell.ljust(most) if i < n_left else cell.rjust(most))
        else:
            cell = _cut(cell, most)
            blank = " " * (most - width(cell))
            made.append(cell + blank if i < n_left else blank + cell)
    return (" " + "   ".join(made)).rstrip()


def _cut(cell: str, most: int) -> str:
    if width(cell) <= most:
        return cell
    while width(cell) >= most:
        cell = cell[:-1]
    return cell + "…"


def width(text: str) -> int:
    """Cells that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def printable(text: str) -> str:
    r"""A text in one line, with what moves a terminal's cursor, or cannot be shown, as escapes.

    Examples
    --------
    >>> printable("oil\x1b[2J"), printable("Öl °C")
    ('oil\\x1b[2J', 'Öl °C')
    """
    return text if text.isprintable() else "".join(map(_shown_as, text))


def _shown_as(sign: str) -> str:
    if sign.isprintable() or sign in "\u200c\u200d" or unicodedata.category(sign) == "Zs":
        return sign
    return sign.encode("unicode_escape").decode()
