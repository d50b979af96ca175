"""CSV as chunks of columns, parsed by Arrow block by block; a record that does not fit is named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from streampca.files.ahead import side_by_side
from streampca.files.chunk import Broken, Chunk, Place
from streampca.files.dialect import Dialect
from streampca.files.gaps import NULLS
from streampca.files.lines import Block, blocks, records
from streampca.files.streams import Stream


def read(
    stream: Stream,
    dialect: Dialect,
    wanted: Sequence[str],
    numbers: Sequence[str],
    start: Place,
    *,
    na: Collection[str] = (),
    growing: Any = lambda: False,
) -> Iterator[Chunk]:
    """Chunks from a place on.

    Parameters
    ----------
    stream : Stream
        In UTF-8, at its beginning.
    dialect : Dialect
    wanted, numbers : sequence of str
        Columns, and those of them that should hold numbers; the others are text as it stands.
    start : Place
    na : collection of str
        More cells that stand for a missing number.
    growing : callable
        As for `blocks`.
    """
    if start.offset == 0:
        start = Place(dialect.offset, 0, dialect.lines, start.skip)
    stream.skip(start.offset)
    record = start.record
    found = blocks(
        stream, start.offset, start.line,
        eol=dialect.eol, delimiter=dialect.delimiter, growing=growing,
    )  # fmt: skip
    full = (block for block in found if block.data.strip())
    nulls = NULLS | set(na)

    def parse(block: Block) -> Chunk:
        return _chunk(block, dialect, wanted, numbers, nulls)

    for chunk in map(parse, full) if stream.is_live else side_by_side(parse, full):
        yield chunk.after(record)
        record += chunk.n_records


def _chunk(
    block: Block,
    dialect: Dialect,
    wanted: Sequence[str],
    numbers: Sequence[str],
    nulls: Collection[str],
) -> Chunk:
    data = block.data
    broken: list[Broken] = []
    if not data.isascii():
        data, broken = _only_utf8(block, dialect)
    table, ragged = _parsed(data, dialect, wanted, numbers, nulls)
    places = np.arange(table.num_rows + len(ragged) + len(broken))
    if broken:
        places = np.delete(places, [each.record for each in broken])
    broken += [Broken(int(places[at]), reason) for at, reason in ragged]
    index = np.delete(places, [at for at, _ in ragged])
    if dialect.trailing:
        index, table, more = _without_last(index, table, len(dialect.names))
        broken += more
    columns = {name: _one(table.column(name)) for name in wanted}
    return Chunk(
        Place(block.offset, 0, block.line, 0),
        len(index) + len(broken),
        columns,
        index,
        sorted(broken),
        block.line_of,
        end=block.ends,
    )


def _parsed(
    data: bytes,
    dialect: Dialect,
    wanted: Sequence[str],
    numbers: Sequence[str],
    nulls: Collection[str],
) -> tuple[pa.Table, list[tuple[int, str]]]:
    """The columns, and the records with another number of cells."""
    ragged: list[tuple[int, str]] = []
    expected = len(dialect.names) - dialect.trailing

    def note(row: Any) -> str:
        found = row.actual_columns
        what = f"{found} cell{'s' * (found != 1)} where the header has {expected}"
        ragged.append((row.number - 1, what))
        return "skip"

    columns = [*wanted, *([""] if dialect.trailing else [])]

    def parse(types: dict[str, pa.DataType]) -> pa.Table:
        ragged.clear()
        return pyarrow.csv.read_csv(
            pa.BufferReader(data),
            # one thread, or broken rows come without their number
            pyarrow.csv.ReadOptions(
                column_names=dialect.names, use_threads=False, block_size=len(data) + 1
            ),
            pyarrow.csv.ParseOptions(
                delimiter=dialect.delimiter,
                invalid_row_handler=note,
                newlines_in_values=b'"' in data,
            ),
            pyarrow.csv.ConvertOptions(
                include_columns=columns,
                column_types=types,
                null_values=list(nulls),
                decimal_point=dialect.decimal,
                strings_can_be_null=False,
            ),
        )

    texts = dict.fromkeys(columns, pa.string())
    try:
        return parse(texts | dict.fromkeys(numbers, pa.float64())), ragged
    except pa.ArrowInvalid:  # a cell is no number: as text, it is one bad row and not a bad file
        table = parse(texts)
        for name in numbers if dialect.decimal == "," else ():
            at = table.column_names.index(name)
            table = table.set_column(at, name, _with_points(table.column(name)))
        return table, ragged


def _with_points(column: Any) -> Any:
    """Numbers with a decimal comma, with a point; with a point, they are no numbers."""
    plain = pc.replace_substring(column, ",", ".")
    marked = pc.binary_join_element_wise(column, pa.scalar(""), " (decimal comma is read)", "")
    return pc.if_else(pc.match_substring(column, "."), marked, plain)


def _only_utf8(block: Block, dialect: Dialect) -> tuple[bytes, list[Broken]]:
    """The data without records that are not UTF-8, and those."""
    try:
        block.data.decode()
    except UnicodeDecodeError:
        pass
    else:
        return block.data, []
    kept, broken = [], []
    spans = records(block.data, dialect.eol, dialect.delimiter)
    for at, (start, end) in enumerate(spans):
        record = block.data[start:end]
        try:
            record.decode()
            kept.append(record)
        except UnicodeDecodeError as error:
            byte = record[error.start]
            broken.append(
                Broken(
                    at, f"the byte 0x{byte:02x} is not UTF-8: say --encoding latin-1, or what it is"
                )
            )
    return dialect.eol.join(kept) + dialect.eol, broken


def _without_last(index: Any, table: pa.Table, n_names: int) -> tuple[Any, pa.Table, list[Broken]]:
    """Rows end with a sign: what stands behind it is a cell too many."""
    full = pc.not_equal(table.column(""), "").combine_chunks()
    if not pc.any(full).as_py():
        return index, table, []
    mask = full.to_numpy(zero_copy_only=False)
    reason = f"{n_names} cells where the header has {n_names - 1}"
    broken = [Broken(int(at), reason) for at in index[mask]]
    return index[~mask], table.filter(pa.array(~mask)), broken


def _one(column: Any) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
