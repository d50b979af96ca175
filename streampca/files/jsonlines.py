"""JSON lines as chunks of columns, block by block; a line that is no object is named."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from streampca.files.ahead import side_by_side
from streampca.files.chunk import Broken, Chunk, Layout, Place, Wanted
from streampca.files.dialect import is_number, is_time
from streampca.files.encodings import SAMPLE
from streampca.files.lines import Block, blocks, end_of_line
from streampca.files.streams import Stream
from streampca.text import twice_in

_DEEPEST = 100
"""Levels of nesting that Arrow is given: its parser overflows its stack at some ten thousand."""


def layout(stream: Stream, name: str) -> Layout:
    """The columns by the first lines, which stay where they are; of a pipe by the first alone.

    Raises
    ------
    ValueError
        If the first line is no JSON object.
    """
    lines = _first_lines(stream)
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(_object(line))
        except ValueError as error:
            if not rows:
                raise ValueError(f"{name}, line {number} {error}") from error
            # else it is named where it is read
    if not rows:
        raise ValueError(f"{name}: the file is empty")
    return layout_of(rows)


def layout_of(rows: Sequence[Mapping[str, Any]]) -> Layout:
    """The columns by the first objects."""
    first: dict[str, list[Any]] = {}
    types: dict[str, Any] = {}
    for row in rows:
        for key, value in row.items():
            first.setdefault(key, []).append(value)
    texts: dict[str, str] = {}
    for key, values in first.items():
        types[key] = _type_of(values)
        known = [value for value in values if value is not None]
        if known and all(isinstance(value, str) for value in known) and (
            len(known) > 1 or is_time(known[0])
        ) and not any(is_number(value) for value in known):  # fmt: skip
            texts[key] = known[0]
    return Layout(types, texts, first)


def _first_lines(stream: Stream) -> list[bytes]:
    if not stream.is_live:
        sample = stream.head(SAMPLE)
        lines = sample.splitlines()
        return lines[:-1] if len(sample) == SAMPLE and len(lines) > 1 else lines
    sample, size = b"", -1
    while not sample.lstrip().count(b"\n") and len(sample) > size:
        size = len(sample)
        sample = stream.ahead(size)
    return sample.lstrip().splitlines()[:1]


def _type_of(values: Sequence[Any]) -> Any:
    """The type of a column of lists or objects; None where the values have to say."""
    known = [value for value in values if value is not None]
    lists = [value for value in known if isinstance(value, list)]
    if 2 * len(lists) > len(known):  # the others are bad rows
        of_numbers = [all(isinstance(x, (int, float, type(None))) for x in each) for each in lists]
        return pa.list_(pa.float64() if 2 * sum(of_numbers) > len(lists) else pa.string())
    if known and all(isinstance(value, dict) for value in known):
        return pa.struct([])
    return None


def read(
    stream: Stream,
    wanted: Wanted,
    types: Mapping[str, Any],
    start: Place,
    *,
    growing: Any = lambda: False,
) -> Iterator[Chunk]:
    """Chunks from a place on.

    Parameters
    ----------
    wanted : Wanted
        The columns; a name that is not known makes a row bad.
    types : mapping
        Arrow types of the columns that should hold numbers, or lists of them.
    start, growing
        As for CSV.
    """
    sample = stream.head(SAMPLE) if not stream.is_live else b""
    stream.skip(start.offset)
    record = start.record
    eol = end_of_line(sample)

    def parse(block: Block) -> Chunk:
        place = Place(block.offset, 0, block.line, 0)
        chunk = by_arrow(block, wanted, types, place)
        return _line_by_line(block, wanted, place) if chunk is None else chunk

    found = blocks(stream, start.offset, start.line, eol=eol, growing=growing)
    for chunk in map(parse, found) if stream.is_live else side_by_side(parse, found):
        if chunk.n_records:
            yield chunk.after(record)
            record += chunk.n_records


def by_arrow(block: Block, wanted: Wanted, types: Mapping[str, Any], place: Place) -> Chunk | None:
    """A block by Arrow's parser, ten times as fast; None where lines must be read one by one."""
    others = [name for name in wanted.names if name not in types]
    if _may_be_deep(block) or b"\n\n" in block.data:
        return None
    table = None
    with contextlib.suppress(pa.ArrowInvalid, UnicodeDecodeError):
        table = pyarrow.json.read_json(
            pa.BufferReader(block.data),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(block.data) + 1),
            pyarrow.json.ParseOptions(
                explicit_schema=pa.schema(list(types.items())),
                unexpected_field_behavior="infer",  # to see what is there twice
            ),
        )
    if table is None or table.num_rows != block.n_lines:
        return None
    names, known = table.column_names, wanted.known
    if known is not None and any(
        name not in known and table.column(name).null_count < table.num_rows for name in names
    ):
        return None
    for name in others:
        kinds = (pa.string(), pa.int64(), pa.float64())
        # text in the form of a time may be a key: Arrow would read it as a time
        if name not in names or table.schema.field(name).type not in kinds:
            return None
        if _beyond_doubles(table.column(name)):
            return None
    columns = {name: table.column(name).combine_chunks() for name in wanted.names}
    columns = {n: c.combine_chunks() if hasattr(c, "chunks") else c for n, c in columns.items()}
    line = block.line + 1
    rows = np.arange(table.num_rows)
    return Chunk(
        place, table.num_rows, columns, rows, [], lambda at: line + at, by_line=True, end=block.ends
    )


def _beyond_doubles(column: Any) -> bool:
    """Whether whole numbers may have lost digits.

    Arrow reads those beyond 64 bits as doubles, and all of a column where one is a fraction.
    """
    if column.type != pa.float64():
        return False
    return bool(pc.any(pc.greater_equal(pc.abs(column), 2.0**53)).as_py())


def _may_be_deep(block: Block) -> bool:
    data = block.data
    if data.count(b"{") + data.count(b"[") <= block.n_lines + _DEEPEST:
        return False
    signs = np.frombuffer(data, "uint8")
    steps = np.isin(signs, [123, 91]).astype("int32") - np.isin(signs, [125, 93])
    return bool(np.cumsum(steps).max() > _DEEPEST)


def _line_by_line(block: Block, wanted: Wanted, place: Place) -> Chunk:
    rows: list[dict[str, Any]] = []
    index: list[int] = []
    lines: list[int] = []
    broken: list[Broken] = []
    data = block.data if block.eol == b"\n" else block.data.replace(b"\r", b"\n")
    for number, line in enumerate(io.BytesIO(data), start=block.line + 1):
        if not line.strip():
            continue
        at = len(lines)
        lines.append(number)
        try:
            row = _object(line)
            require_known(row, wanted.known)
        except ValueError as error:
            broken.append(Broken(at, f"the line {error}"))
            continue
        rows.append(row)
        index.append(at)
    columns = {name: [row.get(name) for row in rows] for name in wanted.names}
    return Chunk(
        place, len(lines), columns, np.array(index, int), broken, lines.__getitem__,
        by_line=True, end=block.ends,
    )  # fmt: skip


def require_known(
    row: Mapping[str, Any],
    known: Collection[str] | None,
    first: str = "the first lines",
    error: type[ValueError] = ValueError,
) -> None:
    """Raise if an object has a member that those at the beginning have not."""
    for name, value in row.items():
        if known is not None and name not in known and value is not None:
            raise error(
                f"has {name!r}, which {first} have not: name the columns that are "
                "features with --columns, or leave it out with --exclude"
            )


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("is not JSON that can be read: it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8: say --encoding latin-1, or what it is") from error
    except _Twice as error:
        raise ValueError(str(error)) from error
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object with one member for each column")
    return found


class _Twice(ValueError):
    """An object has a member twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := twice_in([name for name, _ in pairs])) is not None:
        raise _Twice(f"has {twice!r} twice")
    return dict(pairs)
