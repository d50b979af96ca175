"""What a Parquet file declares about itself, read before any Parquet library sees the file.

pyarrow ends the process, instead of raising, on some footers with wrong statistics, and allocates
what a footer declares. This reads the footer (Thrift's compact protocol) as plain numbers, in time
and memory bounded by its length, and lets only the few fields pass that a checkpoint's file has.
The numbers are the field ids of parquet.thrift.
"""

from __future__ import annotations

import struct
from typing import Any

from streampca.checkpoint.thrift import read_struct
from streampca.wire import WireError, check_version

__all__ = ["Group", "check_bundle_footer", "check_footer", "footer_start", "pages_of"]

_MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")

# FileMetaData: version, schema, num_rows, row_groups, key_value_metadata, created_by, column_orders
_FILE_FIELDS = {1, 2, 3, 4, 5, 6, 7}
# RowGroup: columns, total_byte_size, num_rows, file_offset, total_compressed_size, ordinal
_GROUP_FIELDS = {1, 2, 3, 5, 6, 7}
# ColumnChunk: file_offset, meta_data; no path to another file, no indexes, no encryption
_CHUNK_FIELDS = {2, 3}
# ColumnMetaData: type, encodings, path, codec, num_values, sizes, data_page_offset,
# encoding_stats, size_statistics; no dictionary, no statistics of values, no Bloom filter
_COLUMN_FIELDS = {1, 2, 3, 4, 5, 6, 7, 9, 13, 16}
_WITH_STATISTICS = {b"key", b"window_start", b"window_end", b"sequence"}
_WITH_DICTIONARY = {b"feature_names", b"settings", b"moments"}
_OTHER_FIELDS = {name: _COLUMN_FIELDS | {12} for name in _WITH_STATISTICS}
_OTHER_FIELDS |= {name: _COLUMN_FIELDS | {11} for name in _WITH_DICTIONARY}
_PLAIN_ENCODINGS = {0, 3}  # PLAIN, and RLE for levels
_UNCOMPRESSED = 0


def footer_start(data: memoryview, size: int | None = None) -> int:
    """Where the footer begins; `size` of the file, where `data` has only its beginning and end.

    Raises
    ------
    WireError
        If the bytes do not begin and end as a Parquet file does.
    """
    size = len(data) if size is None else size
    if size < 12 or data[:4] != _MAGIC:
        raise WireError(f"{size} bytes that are no Parquet file")
    length, magic = _TAIL.unpack_from(data, len(data) - _TAIL.size)
    if magic != _MAGIC or length > size - 12:
        raise WireError(
            f"a Parquet file of {size} bytes that is torn: its end is missing or changed"
        )
    return size - _TAIL.size - int(length)


def check_footer(footer: bytes, size: int, pages: int | None = None) -> None:
    """Let pass one row in one group of plain, uncompressed columns that fit into `size` bytes.

    With `pages`, columns have to fill the first so many bytes, after the magic word. Older writers
    put a copy of each column's metadata, which is in the footer too, behind its pages.
    """
    try:
        file = read_struct(footer)
        # First, so that a newer file is called newer, not wrong.
        check_version({entry[1]: entry.get(2, b"") for entry in file.get(5, [])})
        _only(file, _FILE_FIELDS, "the footer")
        (group,) = file[4]
        _only(group, _GROUP_FIELDS, "the row group")
        if (file[3], group[3]) != (1, 1):
            raise WireError(f"it has {file[3]} rows instead of one")
        for chunk in group[1]:
            _only(chunk, _CHUNK_FIELDS, "a column")
            column = chunk[3]
            _only(column, _COLUMN_FIELDS, "a column")
            plain = column[4] == _UNCOMPRESSED and _PLAIN_ENCODINGS.issuperset(column[2])
            # values, uncompressed size, compressed size, offset of the first page
            if not plain or any(not 0 <= column[field] <= size for field in (5, 6, 7, 9)):
                raise WireError("a column claims more than the file can hold")
        claimed = len(_MAGIC) + sum(chunk[3][7] for chunk in group[1])
        if pages is not None and not claimed <= pages <= claimed + len(footer):
            raise WireError(f"its columns claim {claimed} bytes where there are {pages}")
    except WireError:
        raise
    except (struct.error, LookupError, TypeError, ValueError, AttributeError) as error:
        raise WireError("its footer is not that of a checkpoint's file") from error


def pages_of(footer: bytes, name: str) -> tuple[int, int]:
    """Where the pages of a column begin and end, by the footer of a file of one row.

    Raises
    ------
    WireError
        If there is not one such column.
    """
    try:
        (group,) = read_struct(footer)[4]
        (column,) = [chunk[3] for chunk in group[1] if chunk[3][3][0] == name.encode()]
        return int(column[9]), int(column[9] + column[7])
    except (struct.error, LookupError, TypeError, ValueError, AttributeError) as error:
        raise WireError(f"it has no column {name!r}") from error


Group = dict[str, tuple[int, int]]
"""Where the pages of each column begin, and how many bytes they have."""


def check_bundle_footer(footer: bytes, size: int, n_rows: int) -> list[Group]:
    """Let pass so many rows in groups of plain, uncompressed columns that fit into `size` bytes.

    Of some, smallest and largest values stand beside; others, which are not read, may have
    dictionaries.
    """
    try:
        file = read_struct(footer)
        check_version({entry[1]: entry.get(2, b"") for entry in file.get(5, [])})
        _only(file, _FILE_FIELDS, "the footer")
        groups, found = file[4], []
        for group in groups:
            _only(group, _GROUP_FIELDS, "a row group")
            for chunk in group[1]:
                _only(chunk, _CHUNK_FIELDS, "a column")
                _check_column(chunk[3], size, group[3])
            columns = [chunk[3] for chunk in group[1]]
            found.append({column[3][0].decode(): (column[9], column[7]) for column in columns})
        if file[3] != n_rows or sum(group[3] for group in groups) != n_rows:
            raise WireError(f"it has {file[3]} rows where its index has {n_rows}")
        return found
    except WireError:
        raise
    except (struct.error, LookupError, TypeError, ValueError, AttributeError) as error:
        raise WireError("its footer is not that of a file of checkpoints") from error


def _check_column(column: dict[int, Any], size: int, n_rows: int) -> None:
    """One column of a group: 3 is its path, 12 its statistics, 11 where a dictionary lies."""
    name = column[3][0]
    _only(column, _OTHER_FIELDS.get(name, _COLUMN_FIELDS), "a column")
    plain = column[4] == _UNCOMPRESSED
    plain &= name in _WITH_DICTIONARY or _PLAIN_ENCODINGS.issuperset(column[2])
    offsets = (column[5], column[6], column[7], column[9], column.get(11, 0))
    if not plain or min(offsets) < 0 or max(offsets) > size or column[5] < n_rows:
        raise WireError("a column claims more than the file can hold")
    for value in (column.get(12) or {}).values():
        if isinstance(value, bytes) and len(value) != 8 and name != b"key":
            raise WireError("a column has a smallest or largest value of another type")


def _only(fields: dict[int, Any], allowed: set[int], what: str) -> None:
    if not fields.keys() <= allowed:
        unknown = sorted(fields.keys() - allowed)
        raise WireError(f"{what} has fields that a checkpoint's file does not have: {unknown}")
