"""Parquet, Arrow and npy as chunks of columns, from any record on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from tokenize import TokenError
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streampca.files.chunk import Chunk, Layout, Place
from streampca.files.source import Source
from streampca.files.streams import Stream
from streampca.text import twice_in

_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls an index that has no name."""

_END = b"\xff\xff\xff\xff\0\0\0\0"
"""With which a stream of Arrow ends."""

_DECODED = 1 << 25
"""Bytes of Parquet decoded at once: 65,536 rows of 50 columns take two thirds of the time of
eight times 8,192; what is made of these then stays in the processor's cache."""


# numpy reads the header as Python writes a dictionary, by way of the tokenizer
_UNREADABLE_HEADER = (TokenError, SyntaxError, TypeError, RecursionError, ArithmeticError)


def layout(source: Source) -> Layout:
    """The columns and their types.

    Raises
    ------
    ValueError
        If two have one name.
    """
    if source.form == "npy":
        with source.open_searchable() as file:
            names, dtype, _ = _npy_header(file, source.name)
        kind = pa.from_numpy_dtype(dtype) if dtype.names is None else None
        types = {n: kind or pa.from_numpy_dtype(dtype[n]) for n in names}
        return Layout(types, {}, {})
    schema = _schema(source)
    if (twice := twice_in(schema.names)) is not None:
        raise ValueError(f"{source.name}: two columns are named {twice!r}; rename one")
    types = dict(zip(schema.names, schema.types, strict=True))
    said = () if _has_its_end(source) else ("ends without a mark of its end: it may be cut short",)
    return Layout(types, {}, {}, said, unnamed=tuple(filter(_INDEX.fullmatch, types)))


def _has_its_end(source: Source) -> bool:
    """Whether a stream of Arrow ends as writers end it; a killed one leaves batches alone.

    Files of Arrow and Parquet have their index there, and cannot be read without it.
    """
    if source.form != "arrow":
        return True
    with source.open_searchable() as file:
        if bytes(file.read(8)).startswith(b"ARROW1"):
            return True
        file.seek(0, 2)
        file.seek(max(file.tell() - len(_END), 0))
        return bytes(file.read(len(_END))) == _END


def _schema(source: Source) -> pa.Schema:
    with source.open_searchable() as file:
        if source.form == "parquet":
            return _parquet(file, source).schema_arrow
        return _arrow(file, source).schema


def parts(source: Source) -> list[int | None]:
    """Parts that can be read in parallel: row groups of a Parquet file, else the file."""
    if source.form != "parquet":
        return [None]
    with source.open_searchable() as file:
        return list(range(_parquet(file, source).metadata.num_row_groups))


def read(
    source: Source, wanted: Sequence[str], start: Place, n_rows: int, part: int | None = None
) -> Iterator[tuple[Chunk, int]]:
    """Chunks from a place on, and how many bytes of the file lie behind each."""
    batches = {"parquet": _parquet_batches, "arrow": _arrow_batches, "npy": _npy_batches}
    size = source.size or 1
    with source.open_searchable() as file:
        for batch, at, total in batches[source.form](file, source, wanted, start, n_rows, part):
            drop = max(start.offset - at, 0)
            if drop >= batch.num_rows:
                continue
            # from the chunk with the place on, chunks are complete
            batch, at = batch.slice(drop), at + drop
            columns = {name: batch.column(name) for name in wanted}
            m = batch.num_rows
            done = size * (at + m) // max(total, 1)
            yield Chunk(Place(at, at, 0, 0), m, columns, np.arange(m), []), done


@contextlib.contextmanager
def naming(name: str, fault: str = "cannot be read") -> Iterator[None]:
    """Say which file it is that cannot be read; what the system says stays as it is."""
    try:
        yield
    except (pa.ArrowException, ValueError, OSError, EOFError, MemoryError) as error:
        # MemoryError: the lengths that a damaged file states may be any
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble
        if type(error) is ValueError and text.startswith(name):
            raise
        raise ValueError(f"{name}: {fault} ({text})") from error


# --- Parquet ----------------------------------------------------------------------------------


def _parquet(file: Any, source: Source) -> pq.ParquetFile:
    with naming(source.name, "not a readable Parquet file"):
        # buffered: pages of a row group come one after another
        return pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)


def _parquet_batches(
    file: Any, source: Source, wanted: Sequence[str], start: Place, n_rows: int, part: int | None
) -> Iterator[tuple[pa.RecordBatch, int, int]]:
    parquet = _parquet(file, source)
    meta = parquet.metadata
    first = 0
    for group in range(meta.num_row_groups):
        behind = first + meta.row_group(group).num_rows
        if behind > start.offset and part in (None, group):
            at = first
            found = meta.row_group(group)
            a_row = max(found.total_byte_size // max(found.num_rows, 1), 1)
            most = max(n_rows, min(8 * n_rows, _DECODED // a_row))
            decoded = parquet.iter_batches(most, row_groups=[group], columns=list(wanted))
            for batch in decoded:
                for begin in range(0, batch.num_rows, n_rows):
                    piece = batch.slice(begin, n_rows)
                    yield piece, at, meta.num_rows
                    at += piece.num_rows
        first = behind


# --- Arrow ------------------------------------------------------------------------------------


def _arrow(file: Any, source: Source) -> Any:
    head = bytes(file.read(8))
    file.seek(0)
    if head.startswith(b"FEA1"):
        raise ValueError(f"{source.name}: is Feather of version 1; write it again as version 2")
    with naming(source.name, "not a readable Arrow file"):
        return pa.ipc.open_file(file) if head.startswith(b"ARROW1") else pa.ipc.open_stream(file)


def _arrow_batches(
    file: Any, source: Source, wanted: Sequence[str], start: Place, n_rows: int, part: int | None
) -> Iterator[tuple[pa.RecordBatch, int, int]]:
    reader = _arrow(file, source)
    if hasattr(reader, "num_record_batches"):
        batches = map(reader.get_batch, range(reader.num_record_batches))
    else:
        batches = iter(reader)
    at = 0
    for batch in batches:
        batch = batch.select(list(wanted))
        for begin in range(0, batch.num_rows, n_rows):
            piece = batch.slice(begin, n_rows)
            yield piece, at, at + piece.num_rows
            at += piece.num_rows


# --- npy --------------------------------------------------------------------------------------


def _npy_header(file: Any, name: str) -> tuple[list[str], np.dtype[Any], tuple[int, bool]]:
    """Names of the columns, type, and how many rows; the file stands at the first of them."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of the format is not known")
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version](file)
    except (*_UNREADABLE_HEADER, ValueError, EOFError, MemoryError) as error:
        raise ValueError(f"{name}: not a readable .npy file ({error})") from error
    shape, by_column, dtype = header
    if dtype.names is not None and len(shape) == 1:
        names = list(dtype.names)
    elif len(shape) == 2 and dtype.names is None:
        names = [f"x{i}" for i in range(shape[1])]
    else:
        raise ValueError(f"{name}: holds an array of shape {shape}; rows and features are needed")
    kinds = [dtype] if dtype.names is None else [dtype[each] for each in names]
    if not all(_is_number(kind) or (dtype.names and kind.kind in "UM") for kind in kinds):
        raise ValueError(f"{name}: holds {dtype}, not numbers")
    return names, dtype, (shape[0], by_column and dtype.names is None)


def _is_number(kind: np.dtype[Any]) -> bool:
    return kind.kind in "fiub" and kind.itemsize <= 8


def _npy_batches(
    file: Any, source: Source, wanted: Sequence[str], start: Place, n_rows: int, part: int | None
) -> Iterator[tuple[pa.RecordBatch, int, int]]:
    names, dtype, (total, by_column) = _npy_header(file, source.name)
    width = 1 if dtype.names is not None else len(names)
    if by_column:
        values = _numbers(file, source, total * width, dtype).reshape(width, total).T
    for at in range(0, total, n_rows):
        m = min(n_rows, total - at)
        if by_column:
            rows = values[at : at + m]
        else:
            rows = _numbers(file, source, m * width, dtype).reshape(m, width)
        yield _as_batch(rows, names, wanted, dtype), at, total


def _numbers(file: Any, source: Source, count: int, dtype: np.dtype[Any]) -> Any:
    data = Stream(file).exactly(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise ValueError(f"{source.name}: is cut short")
    return np.frombuffer(data, dtype)


def _as_batch(rows: Any, names: list[str], wanted: Sequence[str], dtype: Any) -> pa.RecordBatch:
    arrays = []
    for name in wanted:
        column = rows[name][:, 0] if dtype.names is not None else rows[:, names.index(name)]
        column = np.ascontiguousarray(column)
        arrays.append(pa.array(column.astype(column.dtype.newbyteorder("="), copy=False)))
    return pa.RecordBatch.from_arrays(arrays, names=list(wanted))
