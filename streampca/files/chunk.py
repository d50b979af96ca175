"""Some records of a file, and how far a file has been read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import pyarrow as pa


class Place(NamedTuple):
    """How far a file has been read: `skip` records after the one that begins at `offset`."""

    offset: int  # bytes, decompressed and in UTF-8; records in Parquet, Arrow and npy
    record: int  # records before `offset`
    line: int  # lines before `offset`
    skip: int


BEGIN = Place(0, 0, 0, 0)


class Broken(NamedTuple):
    """A record that cannot be taken apart."""

    record: int  # within the chunk
    reason: str
    content: dict[str, Any] | None = None


class Chunk(NamedTuple):
    """Some records of a file."""

    start: Place  # where the chunk begins; of a topic, `skip` records have been used before
    n_records: int  # broken ones included
    columns: dict[str, Any]  # Arrow arrays, or lists of Python values
    record: Any  # (m,) which record of the chunk each row of the columns is
    broken: list[Broken]
    line: Callable[[int], int] | None = None  # the line of a record of a text file, from 1
    by_line: bool = False  # whether rows are called by their lines alone
    end: bool = True  # whether its last record has its end of line
    called: Callable[[int], str] | None = None  # records that have names of their own
    place: Callable[[int], Place] | None = None  # where to go on after so many records
    part: int = 0  # which partition of a topic it is of

    def after(self, n_records: int) -> Chunk:
        """The same place in a file with so many records before it."""
        return self._replace(start=self.start._replace(record=n_records))

    def label(self, record: int) -> str:
        """The name of a record in tables."""
        if self.called is not None:
            return self.called(record)
        if self.by_line and self.line is not None:
            return f"line {self.line(record)}"
        return f"row {self.start.record + record}"

    def where(self, record: int) -> str:
        """The name of a record in messages, with its line where there are lines."""
        if self.line is None or self.by_line:
            return self.label(record)
        return f"{self.label(record)} (line {self.line(record)})"

    def place_after(self, n_records: int) -> Place:
        """The place to go on from after so many of its records."""
        if self.place is not None:
            return self.place(n_records)
        return self.start._replace(skip=n_records)


class Layout(NamedTuple):
    """The columns of a file, as far as its first rows show them."""

    types: dict[str, Any]  # Arrow types of its columns; None where the cells have to say
    texts: dict[str, str]  # columns without a number in the first rows, with a cell of each
    first: dict[str, list[Any]]  # some first cells of columns, where they are known
    said: tuple[str, ...] = ()  # notes on how the file is read, for people
    dialect: Any = None  # of CSV and text
    unnamed: tuple[str, ...] = ()  # columns whose names were made up


class Wanted(NamedTuple):
    """The columns to read of a file."""

    names: Sequence[str]
    numbers: Sequence[str]  # those that should hold numbers, or lists of them
    known: Collection[str] | None  # names that members of objects may have; None: any

    def types(self, layout: Layout) -> dict[str, Any]:
        """Arrow types of the columns that should hold numbers, or lists of them."""
        return {name: layout.types.get(name) or pa.float64() for name in self.numbers}
