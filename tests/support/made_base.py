"""Files as people have them, each with the rows that it holds or the refusal that it deserves.

A case is made from a table of drawn rows by writers and changes that are combined, so that the
right values are known without any reader.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

NAMES = ("oil", "air", "heat")
ROWS = 40
START = datetime(2026, 1, 1, tzinfo=UTC)


def table(seed=0, n_rows=ROWS):
    """Rows (n_rows, 3) with three digits, off-centre."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n_rows, 3)) * [5.0, 2.0, 1.0] + [10.0, -3.0, 100.0]).round(3)


X = table()
KEYS = ["a", "b"] * (ROWS // 2)


@dataclass
class Case:
    """A file or several, options, and what comes of them."""

    write: Callable[[Path], object]  # into a folder; the names, if not all files in it
    rows: object = None  # (m, 3), or a dictionary by key
    refused: str | None = None  # a regular expression
    n_bad: int = 0
    options: dict = field(default_factory=dict)
    names: tuple = NAMES
    times: tuple | None = None  # first and last, seconds since START


CASES: dict[str, Case] = {}


def case(name, write, rows=None, refused=None, **more):
    """Add one; by default all rows are right."""
    assert name not in CASES, name
    CASES[name] = Case(write, X if rows is None and refused is None else rows, refused, **more)


def refused(name, write, pattern, **more):
    """Add one that nobody may read."""
    case(name, write, refused=pattern, **more)


# --- writers ----------------------------------------------------------------------------------


def text_of(X=X, names=NAMES, delimiter=",", decimal=".", eol="\n", quote=False, **columns):
    """CSV as text; more columns in front."""
    file = io.StringIO()
    how = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    writer = csv.writer(file, delimiter=delimiter, lineterminator=eol, quoting=how)
    writer.writerow([*columns, *names])
    for row, extra in zip(X.tolist(), _across(columns, len(X)), strict=True):
        writer.writerow([*extra, *(repr(each).replace(".", decimal) for each in row)])
    return file.getvalue()


def _across(columns, n_rows):
    return list(zip(*columns.values(), strict=True)) if columns else [()] * n_rows


def put(name, data, encoding="utf-8"):
    """A writer of one file."""

    def write(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode(encoding) if isinstance(data, str) else data)

    return write


def lines_of(X=X, names=NAMES, **columns):
    """JSON lines as text."""
    rows = [
        dict(zip([*columns, *names], [*extra, *row], strict=True))
        for row, extra in zip(X.tolist(), _across(columns, len(X)), strict=True)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def arrow_of(X=X, names=NAMES, kind=None, **columns):
    """An Arrow table."""
    made = {name: pa.array(column) for name, column in columns.items()}
    made |= {name: pa.array(X[:, i], kind) for i, name in enumerate(names)}
    return pa.table(made)


def parquet(name, found, **how):
    """A writer of Parquet, in several row groups."""

    def write(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(found, path, **{"row_group_size": 16, **how})

    return write


def both(*writers):
    """A writer of several files."""

    def write(folder):
        for writer in writers:
            writer(folder)

    return write


def edited(text, line, new):
    """Text with another line, counted from 0 at the names."""
    lines = text.splitlines(keepends=True)
    lines[line] = new + "\n"
    return "".join(lines)


PLAIN = text_of()
