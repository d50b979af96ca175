"""The first line of a CSV file: names of columns, and the sign between them."""

from __future__ import annotations

import csv


def names(line: bytes, where: str) -> list[str]:
    """The names of the columns, by the first line.

    Raises
    ------
    ValueError
        If it holds numbers, or a name twice.

    Examples
    --------
    >>> names(b"time;oil;air", "day.csv")
    ['time', 'oil', 'air']
    """
    found = next(csv.reader([line.decode("utf-8-sig", "replace")], delimiter=delimiter(line)))
    if all(_is_number(name) for name in found):
        raise ValueError(
            f"{where}: the first line holds numbers, not the names of columns; put a line of "
            "names before it"
        )
    if len(set(found)) < len(found):
        twice = next(name for i, name in enumerate(found) if name in found[:i])
        raise ValueError(f"{where}: two columns are named {twice!r}; rename one")
    return found


def delimiter(line: bytes) -> str:
    """The sign between cells: the most frequent of the usual ones."""
    return max(",;\t|", key=lambda sign: line.count(sign.encode()))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
