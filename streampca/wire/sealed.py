"""One record batch as Arrow bytes with a checksum: how anything of streampca's leaves a process.

The bytes are a complete Arrow IPC stream (a schema and one record batch) followed by a trailer of
20 bytes that Arrow readers ignore:

    magic (8) | CRC-32 of everything before the trailer (4) | number of bytes before it (8)

The trailer is checked first, so that torn or flipped bytes never reach the Arrow parser. Bytes that
somebody made on purpose can carry a right checksum: the schema is therefore compared with what is
expected before a body is read, and compressed bodies, whose size nothing bounds, are refused.
This room does not know what the columns mean.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping

import pyarrow as pa

SCHEMA_VERSION = 3
"""2: checkpoints have a column `scale`, and dense moments of few rows are these rows.
3: checkpoints have a column `effective_rows`."""
VERSION_KEY = b"streampca.schema"

# RuntimeError: pyarrow_hotfix, beside older pyarrow, refuses extension types that were pickled.
UNREADABLE = (
    *(pa.ArrowException, ValueError, StopIteration, EOFError, OSError),
    *(struct.error, RuntimeError),
)

_MAGIC = b"streamP1"
_TRAILER = struct.Struct("<8sIQ")


class WireError(ValueError):
    """Bytes that are torn, changed, foreign, or written by a newer streampca."""


def seal(batch: pa.RecordBatch) -> bytes:
    """One record batch as an Arrow IPC stream followed by its checksum."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    stream = sink.getvalue()
    return b"".join([stream, _TRAILER.pack(_MAGIC, zlib.crc32(stream), len(stream))])


def unseal(
    data: bytes | bytearray | memoryview, check_schema: Callable[[pa.Schema], None]
) -> pa.RecordBatch:
    """Read a sealed record batch; `check_schema` raises before any column is read.

    The batch refers to the memory of `data`, without a copy.
    """
    payload = _check_trailer(data)
    try:
        reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(payload))
        message = reader.read_next_message()
        if message.type != "schema":  # pyarrow would end the process on some others
            raise WireError("Corrupt data: an Arrow stream that does not begin with its schema.")
        schema = pa.ipc.read_schema(message)
        check_version(schema.metadata)
        check_schema(schema)
        message = reader.read_next_message()
        if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
            raise WireError("Corrupt data: expected one record batch that is not compressed.")
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate(full=True)
    except WireError:
        raise
    except UNREADABLE as error:
        raise WireError(f"Corrupt data: not a readable Arrow stream ({error}).") from error
    return batch


def check_version(metadata: Mapping[bytes, bytes] | None) -> int:
    """The version in the schema metadata; raises unless this library can read it."""
    text = (metadata or {}).get(VERSION_KEY, b"")
    # isdigit and the length first: int() of a long text is slow and limited.
    version = int(text) if text.isdigit() and len(text) < 10 else 0
    if version < 1:
        raise WireError("Foreign data: it does not say which streampca schema it follows.")
    if version > SCHEMA_VERSION:
        raise WireError(
            f"The data follows streampca schema {version}, newer than {SCHEMA_VERSION}, the newest "
            "that this version of streampca reads: upgrade streampca."
        )
    return version


def _check_trailer(data: bytes | bytearray | memoryview) -> memoryview:
    """Everything before the trailer, once length and checksum agree with it."""
    view: memoryview = memoryview(data).cast("B")
    size = len(view) - _TRAILER.size
    magic, checksum, length = _TRAILER.unpack_from(view, size) if size > 0 else (b"", 0, 0)
    if magic != _MAGIC:
        if VERSION_KEY in bytes(view[:65536]):
            raise WireError(
                f"Torn data: {len(view)} bytes begin like streampca's, but their end is missing "
                "or changed."
            )
        raise WireError(f"Foreign data: {len(view)} bytes that streampca did not write.")
    if length != size:
        raise WireError(f"Torn data: {size} bytes where {length} were written.")
    if zlib.crc32(view[:size]) != checksum:
        raise WireError(f"Corrupt data: the checksum of {size} bytes does not match.")
    return view[:size]


def _is_compressed(metadata: bytes) -> bool:
    """Whether a record batch message declares compressed buffers.

    pyarrow does not say, and decompresses to whatever size the data declares. In the flatbuffer
    ``Message`` the header is field 2, and in its ``RecordBatch`` the compression is field 3;
    the slot of field k lies 4 + 2 k bytes into the table's vtable.
    """
    (root,) = struct.unpack_from("<I", metadata, 0)
    slot = _field_slot(metadata, root, 2)
    (step,) = struct.unpack_from("<I", metadata, root + slot)
    return _field_slot(metadata, root + slot + step, 3) != 0


def _field_slot(metadata: bytes, table: int, field: int) -> int:
    (back,) = struct.unpack_from("<i", metadata, table)
    (size,) = struct.unpack_from("<H", metadata, table - back)
    at = 4 + 2 * field
    slot: int = struct.unpack_from("<H", metadata, table - back + at)[0] if size > at else 0
    return slot
