"""A checkpoint's file: one Arrow row as Parquet, read back without trusting what it claims.

Between the pages and the footer of a Parquet file readers read nothing that the footer does not
point to. There stands a seal of 12 bytes: a magic word and the CRC-32 of all the rest of the file.
It is checked first, so that no torn or flipped byte reaches a Parquet parser; then what the footer
declares is compared with the size of the file. So the file is not compressed, which random digits
hardly would be, and has no dictionaries or statistics, which one row does not need.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from streampca.checkpoint.columns import SCHEMA, check_schema, from_batch
from streampca.checkpoint.footer import check_footer, footer_start
from streampca.wire import WireError

__all__ = ["from_parquet", "look", "to_parquet"]

_MAGIC = b"streamP1"
_SEAL = struct.Struct("<8sI")
_MOST_FOOTER = 2**20  # that of a checkpoint has some thousand bytes, whatever the model


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
    return _sealed(sink.getvalue())


def _sealed(data: bytes) -> bytes:
    view: memoryview = memoryview(data).cast("B")
    at = footer_start(view)
    pages, footer = view[:at], view[at:]
    return b"".join([pages, _SEAL.pack(_MAGIC, zlib.crc32(footer, zlib.crc32(pages))), footer])


def look(read_at: Callable[[int, int], bytes], size: int) -> None:
    """Raise unless a file claims to be just as large as it is; for checking before reading it."""
    end = footer_start(memoryview(read_at(0, 8) + read_at(size - 8, 8)), size)
    if size - end > _MOST_FOOTER:
        raise WireError(f"its footer claims {size - end} bytes")
    check_footer(read_at(end, size - end), size, pages=end - _SEAL.size)


def from_parquet(data: bytes, *, moments: bool = True) -> dict[str, Any]:
    """What `to_parquet` wrote, in memory bounded by the size of the data."""
    import pyarrow.parquet as pq

    view: memoryview = memoryview(data).cast("B")
    end = footer_start(view)
    at = max(end - _SEAL.size, 0)
    magic, checksum = _SEAL.unpack_from(view, at)
    if magic != _MAGIC:
        raise WireError("a Parquet file that streampca did not write, or that was changed")
    pages, footer = view[:at], view[end:]
    if zlib.crc32(footer, zlib.crc32(pages)) != checksum:
        raise WireError("the checksum of the file does not match: it was changed")
    check_footer(bytes(footer), len(view), pages=at)
    file = pq.ParquetFile(pa.BufferReader(view))
    check_schema(file.schema_arrow)
    there = set(file.schema_arrow.names) - (set() if moments else {"moments"})
    wanted = [name for name in SCHEMA.names if name in there]
    return from_batch(file.read(columns=wanted, use_threads=False), moments=moments)
