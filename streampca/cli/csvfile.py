"""CSV as chunks of columns, block by block; a record that cannot be taken apart is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from streampca._csvheader import delimiter as sign_between
from streampca.cli.chunk import Broken, Chunk, Place, columns_of
from streampca.cli.lines import Block, blocks
from streampca.cli.source import Stream

__all__ = ["read"]


def read(
    stream: Stream,
    header: list[str],
    wanted: Sequence[str],
    numbers: Sequence[str],
    start: Place,
) -> Iterator[tuple[Chunk, int]]:
    """Chunks from a place on, and how many bytes of the file lie behind each."""
    first = stream.line()
    delimiter = sign_between(first)
    if start.offset == 0:
        start = Place(len(first), 0, 1, start.skip)
    stream.skip(start.offset)
    record = start.record
    for block in blocks(stream, start.offset, start.line, quoted=True):
        found = _block(block, header, wanted, numbers, delimiter, record)
        if found is not None:
            yield found, stream.tell()
            record += found.n_records


def _block(
    block: Block,
    header: list[str],
    wanted: Sequence[str],
    numbers: Sequence[str],
    delimiter: str,
    record: int,
) -> Chunk | None:
    if not block.data.strip():
        return None
    broken: list[Broken] = []

    def note(row: Any) -> str:
        reason = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        at = row.number - 1
        broken.append(Broken(at, f"row {record + at}", reason))
        return "skip"

    def parse(types: dict[str, pa.DataType]) -> pa.Table:
        broken.clear()
        return pyarrow.csv.read_csv(
            pa.BufferReader(block.data),
            # one thread, or broken rows come without their number
            pyarrow.csv.ReadOptions(
                column_names=header, use_threads=False, block_size=len(block.data) + 1
            ),
            pyarrow.csv.ParseOptions(
                delimiter=delimiter,
                invalid_row_handler=note,
                newlines_in_values=b'"' in block.data,
            ),
            pyarrow.csv.ConvertOptions(
                include_columns=list(wanted), column_types=types, strings_can_be_null=True
            ),
        )

    texts = dict.fromkeys(wanted, pa.string())
    try:
        table = parse(texts | dict.fromkeys(numbers, pa.float64()))
    except pa.ArrowInvalid:  # a cell is no number: as text, it is one bad row and not a bad file
        table = parse(texts)
    n_records = table.num_rows + len(broken)
    index = np.arange(n_records)
    if broken:
        index = np.delete(index, [each.record for each in broken])
    columns = columns_of(table, wanted)
    place = Place(block.offset, record, block.line, 0)
    return Chunk(place, n_records, columns, index, None, broken)
