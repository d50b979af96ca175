"""A checkpoint's file: one Arrow row as Parquet, read back without trusting what it claims.

Not compressed, no dictionaries, pages with checksums: the digits hardly shrink, and every length
that a file declares can be compared with the length of the file before anything is allocated.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from streampca._seal import WireError
from streampca.checkpoint.columns import SCHEMA, check_schema, from_batch

__all__ = ["from_parquet", "to_parquet"]

# Many times what the footer's few short strings and lists need: a forged length stays small.
_THRIFT_STRING, _THRIFT_CONTAINER = 1 << 20, 10_000


def to_parquet(batch: pa.RecordBatch) -> bytes:
    """The content of the file of a record batch of one row."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_batches([batch]),
        sink,
        compression="none",
        use_dictionary=False,
        write_statistics=["key", "window_start", "window_end", "sequence"],
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def from_parquet(source: Any, size: int, *, moments: bool = True) -> dict[str, Any]:
    """What `to_parquet` wrote, from a file open for reading, in memory bounded by `size`."""
    file = pq.ParquetFile(
        source,
        page_checksum_verification=True,
        thrift_string_size_limit=_THRIFT_STRING,
        thrift_container_size_limit=_THRIFT_CONTAINER,
    )
    check_schema(file.schema_arrow)
    footer = file.metadata
    if (footer.num_rows, footer.num_row_groups) != (1, 1):
        raise WireError(
            f"it has {footer.num_rows} rows in {footer.num_row_groups} groups instead of one"
        )
    for at in range(footer.num_columns):
        column = footer.row_group(0).column(at)
        if (
            column.compression != "UNCOMPRESSED"
            or not 0 <= column.total_uncompressed_size <= size
            or not 0 <= column.num_values <= size
        ):
            raise WireError(f"column {column.path_in_schema!r} claims more than the file can hold")
    wanted = [name for name in SCHEMA.names if moments or name != "moments"]
    return from_batch(file.read(columns=wanted, use_threads=False))
