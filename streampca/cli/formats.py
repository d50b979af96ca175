"""Parquet, CSV and JSON lines as chunks of columns, in constant memory and from any place on.

This room knows which reader is whose, and Parquet; what the columns mean is for reading.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streampca import _csvheader
from streampca.cli import csvfile, jsonlines
from streampca.cli.chunk import Chunk, Place
from streampca.cli.source import Source, Stream

__all__ = ["chunks", "header"]


def header(source: Source) -> dict[str, pa.DataType | None]:
    """The columns of a file: their types in Parquet, None elsewhere.

    Raises
    ------
    ValueError
        If the file has no columns that can be read.
    """
    with _naming(source):
        if source.form == "parquet":
            with _parquet(source) as file:
                schema = file.schema_arrow
            return dict(zip(schema.names, schema.types, strict=True))
        if source.is_pipe:  # opens once
            return dict.fromkeys(_names(source.open(), source))
        with source.open() as stream:
            return dict.fromkeys(_names(stream, source))


def chunks(
    source: Source, wanted: Sequence[str], numbers: Sequence[str], start: Place, n_rows: int
) -> Iterator[tuple[Chunk, int]]:
    """Chunks from a place on, and how many bytes of the file lie behind each.

    Parameters
    ----------
    source : Source
    wanted : sequence of str
        The columns.
    numbers : sequence of str
        Those of them that should hold numbers.
    start : Place
        Where to begin; `skip` of the first chunk's records is left to the caller.
    n_rows : int
        How many rows of Parquet to give at a time.

    Raises
    ------
    ValueError
        If a column is missing or the file is damaged; it names the file.
    """
    with _naming(source):
        if source.form == "parquet":
            with _parquet(source) as file:
                yield from _read_parquet(file, source, wanted, start, n_rows)
            return
        with source.open() as stream:
            names = _names(stream, source)
            _require(source, wanted, names)
            if source.form == "csv":
                yield from csvfile.read(stream, names, wanted, numbers, start)
            else:
                yield from jsonlines.read(stream, wanted, numbers, start)


@contextmanager
def _naming(source: Source) -> Iterator[None]:
    """Say which file it is that cannot be read."""
    try:
        yield
    except (pa.ArrowException, ValueError, OSError) as error:
        text = _first_line(error)
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble
        if type(error) is ValueError and text.startswith(source.name):
            raise
        raise ValueError(f"{source.name}: cannot be read ({text})") from error


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _require(source: Source, wanted: Sequence[str], names: Sequence[str]) -> None:
    for column in wanted:
        if column not in names and source.form != "jsonl":  # whose objects may lack members
            shown = ", ".join(list(names)[:12]) + (", ..." if len(names) > 12 else "")
            raise ValueError(f"{source.name}: there is no column {column!r}; it has {shown}")


# --- Parquet ----------------------------------------------------------------------------------


@contextmanager
def _parquet(source: Source) -> Iterator[pq.ParquetFile]:
    file = source.open_file()
    try:
        yield _opened(file, source)
    finally:
        if not source.is_pipe:  # whose bytes on disk are wanted again
            file.close()


def _opened(file: Any, source: Source) -> pq.ParquetFile:
    try:
        # a buffer, and nothing read ahead: pages of a row group come one after another
        return pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = _first_line(error)
        raise ValueError(f"{source.name}: not a readable Parquet file ({text})") from error


def _read_parquet(
    file: pq.ParquetFile, source: Source, wanted: Sequence[str], start: Place, n_rows: int
) -> Iterator[tuple[Chunk, int]]:
    _require(source, wanted, file.schema_arrow.names)
    meta = file.metadata
    size = source.size or 1
    first = 0
    for group in range(meta.num_row_groups):
        behind = first + meta.row_group(group).num_rows
        if behind > start.offset:
            batches = file.iter_batches(
                n_rows, row_groups=[group], columns=list(wanted), use_threads=False
            )
            for batch in batches:
                # a chunk that holds the place is given whole from there on
                drop = min(max(start.offset - first, 0), batch.num_rows)
                first += batch.num_rows
                if drop == batch.num_rows:
                    continue
                batch = batch.slice(drop)
                place = Place(first - batch.num_rows, first - batch.num_rows, 0, 0)
                columns = {name: batch.column(name) for name in wanted}
                rows = np.arange(batch.num_rows)
                done = size * first // max(meta.num_rows, 1)
                yield Chunk(place, batch.num_rows, columns, rows, None, []), done
        first = behind


def _names(stream: Stream, source: Source) -> list[str]:
    """The names of the columns, by a first line that stays where it is."""
    line = stream.line()
    if not line.strip():
        raise ValueError(f"{source.name}: the file is empty, or its first line is")
    names = _csvheader.names if source.form == "csv" else jsonlines.names
    return names(line, source.name)
