"""Some records of a file, and how far a file has been read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

__all__ = ["BEGIN", "Broken", "Chunk", "Place", "columns_of"]


class Place(NamedTuple):
    """How far a file has been read: `skip` records after the one that begins at `offset`."""

    offset: int  # bytes, decompressed; records in Parquet
    record: int  # records before `offset`
    line: int  # lines before `offset`
    skip: int


BEGIN = Place(0, 0, 0, 0)


class Broken(NamedTuple):
    """A record that cannot be taken apart."""

    record: int  # within the chunk
    label: str
    reason: str


class Chunk(NamedTuple):
    """Some records of a file."""

    start: Place  # with `skip` 0: where the chunk begins
    n_records: int  # broken ones included
    columns: dict[str, Any]  # Arrow arrays, or lists of Python values
    record: Any  # (m,) which record of the chunk each row of the columns is
    labels: list[str] | None  # what to call the rows; by default by the number of the record
    broken: list[Broken]

    def label(self, row: int) -> str:
        """What messages call a row of the columns."""
        if self.labels is not None:
            return self.labels[row]
        return f"row {self.start.record + int(self.record[row])}"


def columns_of(table: pa.Table, wanted: Sequence[str]) -> dict[str, Any]:
    """Columns of a table, each as one array."""
    columns = {}
    for name in wanted:
        column = table.column(name)
        columns[name] = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return columns
