"""A checkpoint's file: one Arrow row as Parquet, read back without trusting what it claims.

Between the pages and the footer of a Parquet file readers read nothing that the footer does not
point to. There stands a seal of 12 bytes: a magic word and the CRC-32 of all the rest of the file.
It is checked first, so that no torn or flipped byte reaches a Parquet parser; then what the footer
declares is compared with the size of the file. So the file is not compressed, which random digits
hardly would be, and has no dictionaries or statistics, which one row does not need.

Before that seal stands another one: the CRC-32 of all but the moments and the
seals. Who wants no moments, of n x n numbers, does not read them. Older readers take it for a part
of the pages.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from streampca.checkpoint.columns import SCHEMA, check_schema, from_batch
from streampca.checkpoint.files import Opened
from streampca.checkpoint.footer import check_footer, footer_start, pages_of
from streampca.wire import WireError

__all__ = ["from_parquet", "look", "read_light", "to_parquet"]

_MAGIC = b"streamP1"
_LIGHT = b"streamL1"
_SEAL = struct.Struct("<8sI")
_MOST_FOOTER = 2**20  # that of a checkpoint has some thousand bytes, whatever the model
_HEAVY = 2**18  # smaller files are read at once, and all of them is checked


def to_parquet(batch: pa.RecordBatch) -> bytes:
    """The content of the file of a record batch of one row."""
    import pyarrow.parquet as pq  # a tenth of the time that importing the package takes

    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_batches([batch]),
        sink,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
    )
    data = sink.getvalue()
    return _sealed(data, light=data.size >= _HEAVY)


def _sealed(data: bytes, *, light: bool = False) -> bytes:
    view: memoryview = memoryview(data).cast("B")
    at = footer_start(view)
    pages, footer = view[:at], view[at:]
    seal = b""
    if light:
        begin, end = pages_of(bytes(footer), "moments")
        seal = _SEAL.pack(_LIGHT, _checksum(pages[:begin], pages[end:], footer))
    return b"".join([pages, seal, _SEAL.pack(_MAGIC, _checksum(pages, seal, footer)), footer])


def _checksum(*parts: Any) -> int:
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    return total


def look(read_at: Callable[[int, int], bytes], size: int) -> None:
    """Raise unless a file claims to be just as large as it is; for checking before reading it."""
    end = footer_start(memoryview(read_at(0, 8) + read_at(size - 8, 8)), size)
    if size - end > _MOST_FOOTER:
        raise WireError(f"its footer claims {size - end} bytes")
    check_footer(read_at(end, size - end), size, pages=end - _SEAL.size)


def from_parquet(data: bytes, *, moments: bool = True) -> dict[str, Any]:
    """What `to_parquet` wrote, in memory bounded by the size of the data."""
    view: memoryview = memoryview(data).cast("B")
    end = footer_start(view)
    at = max(end - _SEAL.size, 0)
    magic, checksum = _SEAL.unpack_from(view, at)
    if magic != _MAGIC:
        raise WireError("a Parquet file that streampca did not write, or that was changed")
    pages, footer = view[:at], view[end:]
    if _checksum(pages, footer) != checksum:
        raise WireError("the checksum of the file does not match: it was changed")
    check_footer(bytes(footer), len(view), pages=at)
    return _fields(pa.BufferReader(view), moments=moments)


def _fields(file: pa.NativeFile, *, moments: bool) -> dict[str, Any]:
    """What a file holds whose checksum is right."""
    import pyarrow.parquet as pq

    found = pq.ParquetFile(file)
    check_schema(found.schema_arrow)
    there = set(found.schema_arrow.names) - (set() if moments else {"moments"})
    wanted = [name for name in SCHEMA.names if name in there]
    return from_batch(found.read(columns=wanted, use_threads=False), moments=moments)


def read_light(file: Opened) -> dict[str, Any] | None:
    """All but the moments, which are not read; None where all of the file has to be.

    Raises
    ------
    WireError
        If what was read was changed, or the file is none of ours.
    """
    if file.size < _HEAVY:
        return None
    ends = file.read_at(0, 8) + file.read_at(file.size - 8, 8)
    start = footer_start(memoryview(ends), file.size)
    if file.size - start > _MOST_FOOTER or start < 2 * _SEAL.size:
        raise WireError(f"its footer claims {file.size - start} bytes")
    at = start - 2 * _SEAL.size
    tail = file.read_at(at, file.size - at)
    magic, checksum = _SEAL.unpack_from(tail)
    if magic != _LIGHT or tail[_SEAL.size :][: len(_MAGIC)] != _MAGIC:
        return None
    footer = tail[2 * _SEAL.size :]
    check_footer(footer, file.size, pages=at)
    begin, end = pages_of(footer, "moments")
    if not 0 <= begin <= end <= at:
        raise WireError("its moments claim more than the file can hold")
    before, behind = file.read_at(0, begin), file.read_at(end, at - end)
    if _checksum(before, behind, footer) != checksum:
        raise WireError("the checksum of the file does not match: it was changed")
    # zeros that nobody touches take no memory: the moments are a hole
    data = np.zeros(file.size, np.uint8).data.cast("B")
    data[:begin], data[end:at], data[at:] = before, behind, tail
    return _fields(pa.BufferReader(data), moments=False)
