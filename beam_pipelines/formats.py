"""Parquet, CSV and JSON lines on any file system that Beam has, as chunks of columns.

This room knows file formats; what the columns mean is for reading.py.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from streampca import _csvheader
from streampca._filetypes import form_of
from streampca._rawfile import RawFile

_COMPRESSIONS = (".gz", ".bz2", ".zst", ".zstd", ".deflate")
"""Suffixes of what Beam decompresses."""

_ROWS = 8192
"""Rows in a chunk: enough to make Python's work per chunk small, few enough for 10,000 features."""


class Chunk(NamedTuple):
    """Some rows of a file."""

    names: list[str]
    columns: list[Any]  # Arrow arrays, or lists of Python values
    labels: range | list[str]  # row numbers from 0, or what to call each row
    broken: list[tuple[str, str]]  # what a row that cannot be parsed is called, and why


def kind(path: str) -> str:
    """Return the format that the file's name says, with or without a suffix such as .gz.

    Raises
    ------
    ValueError
        If it says none that can be read.

    Examples
    --------
    >>> kind("logs/day.csv.gz")
    'csv'
    """
    return form_of(path, _COMPRESSIONS)


def header(path: str) -> dict[str, pa.DataType | None]:
    """Return the columns of a file: their types in Parquet, None elsewhere.

    Raises
    ------
    ValueError
        If the file has no columns that can be read.
    """
    form = kind(path)
    with _open(path, form) as file:
        if form == "parquet":
            schema = _parquet(file, path).schema_arrow
            return dict(zip(schema.names, schema.types, strict=True))
        if form == "csv":
            return dict.fromkeys(_csv_header(file, path)[0])
        for line in iter(file.readline, b""):
            if line.strip():
                return dict.fromkeys(_json_object(line, f"{path}, line 1"))
    raise ValueError(f"{path}: the file is empty")


def parts(path: str) -> list[int | None]:
    """Return what can be read in parallel: the row groups of a Parquet file, else all of it."""
    if kind(path) != "parquet":
        return [None]
    with _open(path, "parquet") as file:
        return list(range(_parquet(file, path).metadata.num_row_groups))


def read(path: str, part: int | None, columns: list[str]) -> Iterator[Chunk]:
    """Return the rows of a file, or of one row group.

    Raises
    ------
    ValueError
        If a column is missing or the file is damaged; it names the file.
    """
    form = kind(path)
    with _open(path, form) as file:
        reader = {"parquet": _read_parquet, "csv": _read_csv, "jsonl": _read_json}[form]
        try:
            yield from reader(file, path, part, columns)
        except pa.ArrowException as error:
            raise ValueError(f"{path}: cannot be read ({error})") from error


def _open(path: str, form: str) -> Any:
    # Parquet compresses inside; everything else is decompressed by its suffix.
    if form == "parquet":
        return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return FileSystems.open(path)


def _parquet(file: Any, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error})") from error


def _read_parquet(file: Any, path: str, part: int | None, columns: list[str]) -> Iterator[Chunk]:
    parquet = _parquet(file, path)
    require(path, columns, parquet.schema_arrow.names)
    groups = range(parquet.metadata.num_row_groups)
    start = sum(parquet.metadata.row_group(i).num_rows for i in groups[: part or 0])
    wanted = None if part is None else [part]
    for batch in parquet.iter_batches(_ROWS, row_groups=wanted, columns=columns):
        batch = batch.select(columns)
        yield Chunk(columns, batch.columns, range(start, start + batch.num_rows), [])
        start += batch.num_rows


def _csv_header(file: Any, path: str) -> tuple[list[str], str]:
    """Names of the columns, and the sign between them."""
    line = file.readline().rstrip(b"\r\n")
    if not line.strip():
        raise ValueError(f"{path}: the file is empty")
    return _csvheader.names(line, path), _csvheader.delimiter(line)


def _read_csv(file: Any, path: str, _: int | None, columns: list[str]) -> Iterator[Chunk]:
    names, delimiter = _csv_header(file, path)
    require(path, columns, names)
    broken: list[tuple[str, str]] = []

    def note(row: Any) -> str:
        reason = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        broken.append((f"line {row.number + 1}", reason))
        return "skip"

    reader = pyarrow.csv.open_csv(
        io.BufferedReader(RawFile(file)),
        # The header has been read; one thread, or broken rows come without their number.
        pyarrow.csv.ReadOptions(column_names=names, use_threads=False),
        pyarrow.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=note),
        # Text first: a cell that is no number is then one bad row and not a file that fails.
        pyarrow.csv.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(columns, pa.string()),
            strings_can_be_null=True,
        ),
    )
    start = 0
    for batch in reader:
        rows = range(start, start + batch.num_rows)
        yield Chunk(columns, batch.columns, rows, broken.copy())
        broken.clear()
        start += batch.num_rows


def _read_json(file: Any, path: str, _: int | None, columns: list[str]) -> Iterator[Chunk]:
    rows: list[dict[str, Any]] = []
    labels: list[str] = []
    broken: list[tuple[str, str]] = []
    for number, line in enumerate(iter(file.readline, b""), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_json_object(line, "the line"))
            labels.append(f"line {number}")
        except ValueError as error:
            broken.append((f"line {number}", str(error)))
        if len(rows) + len(broken) == _ROWS:
            yield _json_chunk(rows, labels, broken, columns)
            rows, labels, broken = [], [], []
    if rows or broken:
        yield _json_chunk(rows, labels, broken, columns)


def _json_chunk(
    rows: list[dict[str, Any]],
    labels: list[str],
    broken: list[tuple[str, str]],
    columns: list[str],
) -> Chunk:
    return Chunk(columns, [[row.get(name) for row in rows] for name in columns], labels, broken)


def _json_object(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{where} is not a JSON object with one member for each column")
    return found


def require(path: str, columns: list[str], names: list[str]) -> None:
    """Raise unless a file has these columns."""
    for column in columns:
        if column not in names:
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise ValueError(f"{path}: there is no column {column!r}; it has {shown}")
