"""Columns of files as checked rows: which column is what, which rows are bad and why."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca import _cells
from streampca.cli.chunk import BEGIN, Chunk, Place
from streampca.cli.formats import chunks, header
from streampca.cli.source import Source
from streampca.rows.read import LARGEST

__all__ = ["BadRow", "BadRows", "Columns", "Rows", "choose_columns", "read"]

_NUMBERS = 2**22
"""Numbers in a chunk of Parquet, 32 MB of doubles, however many columns there are."""


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which column of the files is what."""

    features: list[str]  # columns of numbers, or one column of lists
    names: list[str]  # of the features: as many as the rows are wide
    key: str | None = None
    timestamp: str | None = None
    unit: str = "s"  # of timestamps that are numbers
    kept: tuple[str, ...] = ()  # passed through as they are
    gaps: bool = False  # whether missing numbers are let through
    largest: float = LARGEST

    @property
    def all(self) -> list[str]:
        """Each column once."""
        others = [name for name in (self.key, self.timestamp) if name is not None]
        return list(dict.fromkeys([*others, *self.features, *self.kept]))


class BadRow(NamedTuple):
    """A row that cannot be used."""

    record: int  # within its chunk
    reason: str  # with the file and the row
    key: Any
    content: dict[str, Any] | None


class Rows(NamedTuple):
    """A chunk of a file, checked."""

    chunk: Chunk
    record: NDArray[np.int64]  # (m,) which record of the chunk each row is
    values: NDArray[Any]  # (m, n)
    keys: list[Any] | None
    times: NDArray[np.int64] | None  # microseconds since 1970
    kept: dict[str, Any]
    bad: list[BadRow]
    done: int  # bytes of the file that lie behind

    def label(self, row: int) -> str:
        """What messages call a row."""
        index = int(np.searchsorted(self.chunk.record, self.record[row]))
        return self.chunk.label(index)


def choose_columns(
    source: Source,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    key: str | None = None,
    timestamp: str | None = None,
    **others: Any,
) -> Columns:
    """The columns to read, by what one file has.

    Raises
    ------
    ValueError
        If a column is missing or cannot hold a feature.
    """
    types = header(source)
    named = [n for n in (key, timestamp) if n is not None]
    for name in [*named, *(columns or []), *exclude, *others.get("kept", ())]:
        if name not in types:
            shown = ", ".join(list(types)[:12]) + (", ..." if len(types) > 12 else "")
            raise ValueError(f"{source.name}: there is no column {name!r}; it has {shown}")
    left = [name for name in types if name not in named]
    chosen = [name for name in columns or left if name not in exclude]
    if not chosen:
        raise ValueError(f"{source.name}: there are no columns left to be features")
    hint = "choose with --columns or --exclude"
    for name in chosen:
        kind = types[name]
        if kind is None or _cells.is_number(kind):
            continue
        if not _cells.is_vector(kind):
            raise ValueError(f"{source.name}: column {name!r} holds {kind}, not numbers; {hint}")
        if len(chosen) > 1:
            raise ValueError(
                f"{source.name}: column {name!r} holds lists and must be the only feature; {hint}"
            )
    names = chosen
    kind = types[chosen[0]]
    if kind is not None and _cells.is_vector(kind):
        names = [f"{chosen[0]}_{i}" for i in range(kind.list_size)]
    return Columns(chosen, names, key, timestamp, **others)


def read(source: Source, columns: Columns, start: Place = BEGIN) -> Iterator[Rows]:
    """The rows of a file from a place on, those that cannot be used apart.

    Raises
    ------
    ValueError
        If a column is missing or the file is damaged; it names the file.
    """
    n_rows = max(64, min(8192, _NUMBERS // max(len(columns.names), 1)))
    for chunk, done in chunks(source, columns.all, columns.features, start, n_rows):
        yield _checked(source, columns, chunk, done)


def _checked(source: Source, columns: Columns, chunk: Chunk, done: int) -> Rows:
    by_name = chunk.columns
    values, reasons = _cells.matrix(
        [by_name[name] for name in columns.features],
        columns.names,
        gaps=columns.gaps,
        largest=columns.largest,
    )
    times = None
    if columns.timestamp is not None:
        name = columns.timestamp
        times, no_times = _cells.times(by_name[name], name, columns.unit)
        reasons = reasons | no_times
    keys = None if columns.key is None else _keys(by_name[columns.key], columns.key, reasons)
    bad = [
        BadRow(each.record, f"{source.name}, {each.label}: {each.reason}", None, None)
        for each in chunk.broken
    ]
    for row in sorted(reasons):
        content = {name: _cell(column, row) for name, column in by_name.items()}
        reason = f"{source.name}, {chunk.label(row)}: {reasons[row]}"
        bad.append(BadRow(int(chunk.record[row]), reason, keys and keys[row], content))
    bad.sort(key=lambda each: each.record)
    kept = {name: by_name[name] for name in columns.kept}
    record = chunk.record
    if reasons:
        good = np.delete(np.arange(len(values)), sorted(reasons))
        record, values = record[good], values[good]
        times = None if times is None else times[good]
        keys = None if keys is None else [keys[row] for row in good.tolist()]
        kept = {name: _taken(column, good) for name, column in kept.items()}
    return Rows(chunk, record, values, keys, times, kept, bad, done)


def _keys(column: Any, name: str, reasons: dict[int, str]) -> list[Any]:
    """Keys as text or whole numbers; rows without one get a reason."""
    keys = column.to_pylist() if isinstance(column, pa.Array) else list(column)
    for row, key in enumerate(keys):
        if isinstance(key, float) and key.is_integer() and math.isfinite(key):
            keys[row] = int(key)
        elif key is None:
            reasons[row] = f"the key {name!r} is missing"
        elif isinstance(key, bool) or not isinstance(key, (str, int)):
            reasons[row] = f"the key {name!r} is {key!r}: keys must be text or whole numbers"
    return keys


def _cell(column: Any, row: int) -> Any:
    value = column[row]
    return value.as_py() if isinstance(value, pa.Scalar) else value


def _taken(column: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(column, pa.Array):
        return column.take(pa.array(rows))
    return [column[row] for row in rows.tolist()]


class BadRows:
    """What happens to rows that cannot be used: the first ends all, or they are skipped, or kept.

    Parameters
    ----------
    mode : str
        "fail", "skip", or the file to write them to, as JSON lines with the reason.
    size : int, optional
        How much of the file has been written for good: what a killed run wrote after that is cut.
        None begins it anew.
    """

    def __init__(self, mode: str, size: int | None = None) -> None:
        self.mode = mode
        self.count = 0
        self._file: Any = None
        if mode not in ("fail", "skip"):
            self._file = open(mode, "wb" if size is None else "ab")  # noqa: SIM115 - see `close`
            if size is not None:
                self._file.truncate(min(size, os.fstat(self._file.fileno()).st_size))
                self._file.seek(0, os.SEEK_END)

    def take(self, bad: Sequence[BadRow]) -> None:
        """Deal with some.

        Raises
        ------
        ValueError
            In mode "fail", for the first one.
        """
        for each in bad:
            if self.mode == "fail":
                raise ValueError(
                    f"{each.reason}; correct the row, or pass over it and others like it with "
                    "--bad-rows skip"
                )
            self.count += 1
            if self._file is not None:
                line: Mapping[str, Any] = {
                    "reason": each.reason,
                    "key": each.key,
                    "row": each.content,
                }
                self._file.write(json.dumps(line, default=str).encode() + b"\n")

    def size(self) -> int:
        """Bytes written, for good from now on."""
        if self._file is None:
            return 0
        self._file.flush()
        os.fsync(self._file.fileno())
        return int(self._file.tell())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
