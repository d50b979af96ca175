"""Files as checked rows: the one reader of the command line, Beam and Python."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca.files import cells, formats, names, options
from streampca.files.ahead import ahead
from streampca.files.bad_rows import BadRow, BadRows
from streampca.files.chunk import BEGIN, Chunk, Place, Wanted
from streampca.files.columns import Columns, check_columns, choose_columns, tell
from streampca.files.gaps import Missing
from streampca.files.source import Source
from streampca.files.times import times
from streampca.files.topic import Topic, check_topics
from streampca.text import counted

_NUMBERS = 2**22
"""Numbers in a chunk of Parquet, 32 MB of doubles, however many columns there are."""

_log = logging.getLogger("streampca.files")


class Rows(NamedTuple):
    """A batch of checked rows of one file."""

    values: NDArray[Any]
    """(m, n) float32 or float64; missing entries are NaN, and only with missing="impute"."""
    names: list[str]
    """Of the n features."""
    keys: list[Any] | None
    """Text or whole numbers, one a row; None without a key column."""
    times: NDArray[np.int64] | None
    """Microseconds since 1970, UTC; None without a timestamp column."""
    kept: dict[str, Any]
    """Columns that were to be passed through."""
    file: str
    """What the rows were read from."""
    bad: list[BadRow]
    """Rows that cannot be used, which are not among the others."""
    record: NDArray[np.int64]
    """(m,) which record of the chunk each row is."""
    chunk: Chunk
    done: int
    """Bytes of the file that lie behind."""

    def label(self, row: int) -> str:
        """What tables call a row."""
        return self.chunk.label(int(self.record[row]))

    def where(self, row: int) -> str:
        """The name of a row in messages."""
        return self.chunk.where(int(self.record[row]))


class Order:
    """Whether times came in order, and twice: both are allowed, and said.

    Examples
    --------
    >>> order = Order()
    >>> order.add(np.array([1, 3, 2, 3]), None)
    >>> order.said()
    'times: 1 row came after a later one, 1 time came twice'
    """

    def __init__(self, n_back: int = 0, n_twice: int = 0) -> None:
        self.n_back, self.n_twice = n_back, n_twice
        self._latest: int | None = None

    def add(self, found: NDArray[np.int64], keys: Sequence[Any] | None) -> None:
        """Count in the rows of a batch."""
        if not len(found):
            return
        before = found[0] if self._latest is None else self._latest
        line = np.concatenate([[before], found])
        self.n_back += int((found < np.maximum.accumulate(line)[:-1]).sum())
        self._latest = int(line.max())
        if keys is None:
            ordered = np.sort(found)
            self.n_twice += int((np.diff(ordered) == 0).sum())
        elif (np.diff(found) <= 0).any():
            self.n_twice += len(found) - len(set(zip(keys, found.tolist(), strict=True)))

    def said(self) -> str | None:
        """A sentence; None where there is nothing to report."""
        parts = []
        if self.n_back:
            parts.append(f"{counted(self.n_back, 'row')} came after a later one")
        if self.n_twice:
            parts.append(f"{counted(self.n_twice, 'time')} came twice")
        return "times: " + ", ".join(parts) if parts else None


def read(
    paths: Any, *, keep: Sequence[str] = (), say: Callable[[str], None] = _log.info, **asked: Any
) -> Iterator[Rows]:
    r"""Checked rows of files, batch by batch, in constant memory.

    Parameters
    ----------
    paths : str or list of str
        Files, patterns and URIs; "-" is standard input. Parquet, CSV, JSON lines, Arrow (Feather)
        and .npy, compressed or not.
    keep : sequence of str
        Columns to pass through as they are.
    say : callable
        Takes notes on how files are read, one sentence at a time; by default the
        logger ``streampca.files`` does.
    **asked
        Options of docs/files.md: `columns`, `exclude`, `key_column`, `timestamp_column`,
        `delimiter`, `bad_rows` and so on. A name that is none of them is refused.

    Returns
    -------
    iterator of Rows

    Raises
    ------
    ValueError
        If a file, column or option cannot be used, or there is no row at all; and, unless
        `bad_rows` says otherwise, for the first row that cannot be used. It names file, row and
        feature.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from streampca import StreamingPCA
    >>> path = pathlib.Path(tempfile.mkdtemp(), "day.csv")
    >>> _ = path.write_text("press;oil;air\na;1,5;2\nb;2,5;4,5\na;4;8\n")
    >>> pca = StreamingPCA(1)
    >>> for rows in read(path, key_column="press"):
    ...     print(rows.names, rows.keys, rows.values.tolist())
    ...     pca = pca.partial_fit(rows.values)
    ['oil', 'air'] ['a', 'b', 'a'] [[1.5, 2.0], [2.5, 4.5], [4.0, 8.0]]
    """
    given = options.check(asked)
    unused = [name for name in ("half_life", "memory") if name in given]
    if unused:
        raise ValueError(f"{unused[0]} is for who learns, not for reading: give it to StreamingPCA")
    sources = names.find(paths, given.get("input_format"))
    check_topics(sources, given)
    mode = os.fspath(given.get("bad_rows", "fail"))
    names.refuse_inputs([("bad_rows", BadRows.file_of(mode))], sources)
    return _read(sources, given, keep, mode, say)


def _read(
    sources: Sequence[Source],
    asked: Mapping[str, Any],
    keep: Sequence[str],
    mode: str,
    say: Callable[[str], None],
) -> Iterator[Rows]:
    columns = choose_columns(sources[0], asked, kept=keep, say=say)
    order, n_rows = Order(), 0
    with BadRows(mode) as bad:
        for source in sources:
            for rows in read_source(source, asked, columns, say=say):
                bad.take(rows.bad)
                if len(rows.values):
                    if rows.times is not None:
                        order.add(rows.times, rows.keys)
                    n_rows += len(rows.values)
                    yield rows
        if n_rows == 0:
            raise ValueError(no_rows(sources, bad.count))
    if (text := order.said()) is not None:
        say(text)


def no_rows(sources: Sequence[Source], n_bad: int) -> str:
    """A sentence about files without a row that can be used."""
    shown = sources[0].name + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")
    bad = f": {counted(n_bad, 'bad row')}" if n_bad else ""
    return f"{shown}: there is no row that can be used{bad}"


def read_source(
    source: Source,
    asked: Mapping[str, Any],
    columns: Columns,
    start: Place = BEGIN,
    *,
    part: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Rows]:
    """The rows of one file from a place on, those that cannot be used apart.

    Raises
    ------
    ValueError
        If a column is missing or the file is damaged; it names the file.
    """
    if isinstance(source, Topic):
        source.say = say
    tell(source, check_columns(source, asked, columns), columns.all, say)
    n_rows = max(64, min(8192, _NUMBERS // max(len(columns.names), 1)))
    wanted = Wanted(columns.all, columns.features, columns.known)
    found = formats.chunks(source, asked, wanted, start, n_rows, part)
    made = (_checked(source, asked, columns, chunk, done) for chunk, done in found)
    yield from made if source.is_pipe or source.is_topic else ahead(made)
    if source.texts:
        most = ", ".join(f"{text!r} {count:,} x" for text, count in source.texts.most_common(8))
        more = ", ..." if len(source.texts) > 8 else ""
        say(f"{source.name}: texts taken for missing values: {most}{more}")


def _checked(
    source: Source, asked: Mapping[str, Any], columns: Columns, chunk: Chunk, done: int
) -> Rows:
    by_name, missing = chunk.columns, Missing.of(asked.get("na", ()))
    features = [by_name[name] for name in columns.features]
    source.texts += missing.taken(features)
    values, reasons = cells.matrix(
        features, columns.names, gaps=columns.gaps, largest=columns.largest, missing=missing
    )
    when = None
    if columns.timestamp is not None:
        when, no_times = times(by_name[columns.timestamp], columns.timestamp, columns.rule)
        reasons = reasons | no_times
    keys = None
    if columns.key is not None:
        keys, no_keys = cells.keys(by_name[columns.key], columns.key)
        reasons = reasons | no_keys
    bad = [
        BadRow(
            each.record,
            f"{source.name}, {chunk.where(each.record)}: {each.reason}",
            None,
            each.content,
        )
        for each in chunk.broken
    ]
    for row in sorted(reasons):
        content = {name: cells.cell(column, row) for name, column in by_name.items()}
        record = int(chunk.record[row])
        reason = f"{source.name}, {chunk.where(record)}: {reasons[row]}"
        bad.append(BadRow(record, reason, keys and keys[row], content))
    bad.sort(key=lambda each: each.record)
    kept = {name: by_name[name] for name in columns.kept}
    record_of = chunk.record
    if reasons:
        good = np.delete(np.arange(len(values)), sorted(reasons))
        record_of, values = record_of[good], values[good]
        when = None if when is None else when[good]
        keys = None if keys is None else [keys[row] for row in good.tolist()]
        kept = {name: _taken(column, good) for name, column in kept.items()}
    return Rows(values, columns.names, keys, when, kept, source.name, bad, record_of, chunk, done)


def _taken(column: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(column, pa.Array):
        return column.take(pa.array(rows))
    return [column[row] for row in rows.tolist()]
