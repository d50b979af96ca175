"""Many checkpoints in one file: Parquet for everybody, with an index that streampca reads first.

    PAR1 | pages | index | seal | footer | length of the footer | PAR1

Rows stand sorted by key and time, in groups that others skip by their statistics. The index
(`bundle_index`) says which checkpoint stands where, so that finding one parses no Parquet. The seal
has the length of the index and the checksum of the footer; index, pages and values have their own.
What is checked before a Parquet parser sees a file is as for one checkpoint's (parquet.py).
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from streampca.checkpoint.bundle_index import Index, order_of
from streampca.checkpoint.columns import KNOWN, SCHEMA, SHOWN, check_schema
from streampca.checkpoint.files import Opened
from streampca.checkpoint.footer import Group, check_bundle_footer, footer_start
from streampca.checkpoint.paths import day_of
from streampca.checkpoint.table import Decoded, to_table
from streampca.checkpoint.values import MATRICES
from streampca.wire import WireError

if TYPE_CHECKING:
    from streampca.checkpoint.record import Checkpoint

__all__ = [
    "MOST_ROWS",
    "InMemory",
    "Rows",
    "check_pages",
    "is_bundle",
    "of_one_kind",
    "read_index",
    "shown_checksum",
    "shown_pages",
    "tail",
    "to_bundle",
]

Ordered = list[tuple["Checkpoint", int]]
"""Checkpoints, each with the order by which it counts."""

_MAGIC = b"streamB1"
_SEAL = struct.Struct("<8sIQ")  # magic, CRC-32 of the footer, bytes of the index

MOST_ROWS = 2**16
"""Of a file: what is checked of its footer takes some 50 ms then."""

_GROUP_ROWS, _GROUP_BYTES = 2**12, 2**23
"""Of a group, which is read for one checkpoint."""

_PIECE = 2**22

_END = 2**16
"""Bytes that have the footer and the index of some hundred checkpoints."""

_DICTIONARY_BYTES = 2**24
"""Of values that are written once each, after which all others are written again and again."""

_MOST_FOOTER, _MOST_INDEX = 2**23, 2**28

_STATISTICS = ["key", "window_start", "window_end", "sequence"]


def to_bundle(checkpoints: Sequence[tuple[Checkpoint, int]]) -> tuple[Index, bytes]:
    """A file of checkpoints of one day and one type of numbers, each once, with its order."""
    import pyarrow.parquet as pq

    sorted_ = sorted(checkpoints, key=lambda each: order_of(each[0]))
    rows = [checkpoint for checkpoint, _ in sorted_]
    table = to_table([vars(row) for row in rows])
    size = max(1, table.nbytes // len(rows))
    group = max(1, min(_GROUP_ROWS, _GROUP_BYTES // size))
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=group,
        compression="none",
        use_dictionary=_repeated(rows),
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=_STATISTICS,
        write_page_checksum=True,
    )
    view: memoryview = memoryview(sink.getvalue()).cast("B")
    at = footer_start(view)
    pages, footer = view[:at], view[at:]
    orders = [order for _, order in sorted_]
    shown = [
        shown_checksum([pages[start : start + size] for start, size in shown_pages(each)])
        for each in check_bundle_footer(bytes(footer), len(view), len(rows))
    ]
    index = Index.of(rows, orders, types_of(rows[0]), group, zlib.crc32(pages), shown)
    blob = index.to_bytes()
    seal = _SEAL.pack(_MAGIC, zlib.crc32(footer), len(blob))
    return index, b"".join([pages, blob, seal, footer])


def shown_pages(group: Group) -> list[tuple[int, int]]:
    """Where the columns that a history shows lie: starts and sizes, neighbours as one."""
    found: list[tuple[int, int]] = []
    for name in SHOWN:
        start, size = group[name]
        if found and sum(found[-1]) == start:
            start, size = found[-1][0], found.pop()[1] + size
        found.append((start, size))
    return found


def shown_checksum(parts: Iterable[bytes | memoryview]) -> int:
    """CRC-32 of these columns with all that a Parquet parser reads of them.

    Parquet has a checksum for each page, but none of what a page says of itself.
    """
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    return total


def _repeated(rows: Sequence[Checkpoint]) -> list[str]:
    """Columns whose values are written once each; those without moments say the same of them."""
    n_without = sum(not row.moments for row in rows)
    some = ["moments"] if 2 * n_without > len(rows) else []
    return ["settings", "feature_names.list.element", *some]


class _Tail(NamedTuple):
    footer: bytes
    index_start: int
    index_size: int


def tail(file: Opened) -> _Tail:
    """The footer, by its checksum, and where the index lies."""
    size = file.size
    end = footer_start(memoryview(file.read_at(0, 8) + file.read_at(max(size - 8, 0), 8)), size)
    if size - end > _MOST_FOOTER or end < _SEAL.size:
        raise WireError(f"its footer claims {size - end} bytes")
    data = file.read_at(end - _SEAL.size, size - end + _SEAL.size)
    magic, checksum, length = _SEAL.unpack_from(data)
    footer = data[_SEAL.size :]
    if magic != _MAGIC:
        raise WireError("a Parquet file that streampca did not write, or that was changed")
    if zlib.crc32(footer) != checksum:
        raise WireError("the checksum of its footer does not match: it was changed")
    start = end - _SEAL.size - length
    if start < 4 or length > _MOST_INDEX:
        raise WireError(f"its index claims {length} bytes")
    return _Tail(footer, start, length)


class _FromEnd:
    """A file whose end is read at once: a request each would be most of the time."""

    def __init__(self, file: Opened) -> None:
        self._whole, self.size, self.file = file, file.size, file.file
        self._start = max(file.size - _END, 0)
        self._data = file.read_at(self._start, file.size - self._start)

    def read_at(self, offset: int, size: int) -> bytes:
        at = offset - self._start
        if at < 0:
            return self._whole.read_at(offset, size)
        return self._data[at : at + size]


def read_index(file: Opened) -> Index:
    """Which checkpoints a file has, and where."""
    file = _FromEnd(file)
    end = tail(file)
    return Index.from_bytes(file.read_at(end.index_start, end.index_size))


class Rows:
    """A file that is open, and its checkpoints by number.

    Parameters
    ----------
    file : Opened
    index : Index
        What `read_index` gave.
    moments : bool
        Whether what is only for going on is read.
    """

    def __init__(self, file: Opened, index: Index, moments: bool) -> None:
        import pyarrow.parquet as pq

        self._index, self._moments = index, moments
        footer = tail(file).footer
        check_bundle_footer(footer, file.size, len(index))
        self._file = pq.ParquetFile(file.file, page_checksum_verification=True)
        schema = self._file.schema_arrow
        check_schema(schema, lean=True)
        left_out = KNOWN if moments else (*KNOWN, "moments")
        self._columns = [name for name in SCHEMA.names if name not in left_out]
        self._group = -1
        self._decoded: Decoded | None = None

    def read(self, row: int) -> dict[str, Any]:
        """The fields of one checkpoint."""
        group, at = divmod(row, self._index.group_rows)
        if group != self._group:
            if not 0 <= group < self._file.num_row_groups:
                raise WireError(f"its index names row {row}, which it does not have")
            found = self._file.read_row_group(group, self._columns, use_threads=False)
            found.validate(full=True)
            self._group, self._decoded = group, Decoded(found, self._moments)
        assert self._decoded is not None
        return self._decoded.fields(at, self._index.known(row))


def check_pages(file: Opened, index: Index) -> None:
    """Read all that is before the index, also what only other readers read.

    Raises
    ------
    WireError
        If it was changed.
    """
    total, end = 0, tail(file).index_start
    for start in range(0, end, _PIECE):
        total = zlib.crc32(file.read_at(start, min(_PIECE, end - start)), total)
    if total != index.checksum:
        raise WireError("the checksum of its pages does not match: they were changed")


def is_bundle(data: bytes) -> bool:
    """Whether the content of a file is that of one with many checkpoints."""
    with contextlib.suppress(WireError, struct.error):
        view = memoryview(data)
        return bytes(view[footer_start(view) - _SEAL.size :][: len(_MAGIC)]) == _MAGIC
    return False


class InMemory(NamedTuple):
    """The content of a file, as if it were open."""

    data: bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)

    @property
    def file(self) -> pa.BufferReader:
        """As pyarrow takes it."""
        return pa.BufferReader(self.data)

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset on."""
        return self.data[offset : offset + size]


def types_of(checkpoint: Checkpoint) -> str:
    """The types of numbers in its matrices, which are the same in all of a file."""
    return " ".join(str(getattr(checkpoint, name).dtype) for name in MATRICES)


def of_one_kind(checkpoints: Iterable[tuple[Checkpoint, int]]) -> Iterator[Ordered]:
    """Checkpoints in lists that one file can have: of one day, and of one type of numbers."""
    kinds: dict[tuple[str, str], Ordered] = {}
    for each, order in checkpoints:
        kinds.setdefault((day_of(each.window_end), types_of(each)), []).append((each, order))
    for some in kinds.values():
        some.sort(key=lambda each: order_of(each[0]))
        for start in range(0, len(some), MOST_ROWS):
            yield some[start : start + MOST_ROWS]
