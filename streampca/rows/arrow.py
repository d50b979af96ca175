"""Arrow tables, record batches and streams of them become columns of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca.rows.names import choose, side_by_side
from streampca.rows.numbers import BadKind, BadRow, NoNumber, label, short

Floats = NDArray[Any]
Read = tuple[Floats, tuple[str, ...] | None]


def read_table(table: pa.Table | pa.RecordBatch, wanted: Sequence[str] | None) -> Read:
    """Features (m, n) and their names, in the order wanted if they have names."""
    kinds, every = table.schema.types, table.schema.names
    if len(every) == 1 and is_list(kinds[0]) and not _is_named(every[0], wanted):
        return _vectors(table.column(0), every[0]), None
    empty = table.num_rows == 0
    columns, names = choose(every, wanted, lambda j: empty or is_list(kinds[j]))
    if empty or not columns:
        width = len(columns) if wanted is None or names is None else len(wanted)
        return np.empty((table.num_rows, width)), names if wanted is None else tuple(wanted)
    if columns != list(range(len(kinds))):
        table = table.select(columns)
    if set(table.schema.types) <= {pa.float32(), pa.float64()}:
        # 784 columns of 1,000 rows: 0.8 ms, one by one 5 ms
        if isinstance(table, pa.Table):
            table = table.combine_chunks().to_batches()[0]
        return table.to_tensor(null_to_nan=True).to_numpy(), names
    read = [
        _vectors(column, str(table.schema.names[j]))
        if is_list(column.type)
        else _numbers(column, label(j, names))
        for j, column in enumerate(table.columns)
    ]
    return side_by_side(read, names, None if names is None else wanted)


def read_array(array: Any) -> Floats:
    """Rows of an array, or of a chunked one, of lists; one of numbers as it is, (m,)."""
    array = _one_chunk(array)
    return _vectors(array, "rows") if is_list(array.type) else _numbers(array, "the entry")


def is_list(kind: pa.DataType) -> bool:
    """Whether entries of this type are vectors."""
    kind = _storage(kind)
    types = pa.types
    return bool(
        types.is_fixed_size_list(kind)
        or types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def _is_named(name: str, wanted: Sequence[str] | None) -> bool:
    """Whether features are wanted by the names that a column of vectors gives them."""
    return wanted is not None and f"{name}_0" in wanted


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _stored(column: Any) -> Any:
    """What an extension type, such as a tensor of fixed shape, is stored as."""
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    if isinstance(column, pa.ChunkedArray):
        chunks = [chunk.storage for chunk in column.chunks]
        return pa.chunked_array(chunks, column.type.storage_type)
    return column.storage


def _one_chunk(column: Any) -> Any:
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no chunk at all
        column = column.combine_chunks()
    return column


def _vectors(column: Any, name: str) -> Floats:
    """A column whose entries are rows; no copy where it is one chunk of fixed-size lists."""
    lists = _stored(_one_chunk(column))
    if len(lists) == 0:
        return np.empty((0, getattr(lists.type, "list_size", 0)))
    if lists.null_count:
        row = int(np.argmax(lists.is_null().to_numpy(zero_copy_only=False)))
        raise BadRow(row, f", column {name!r} is null: a row of numbers is expected")
    lengths = _lengths(lists)
    other = np.flatnonzero(lengths != lengths[0])
    if other.size:
        row = int(other[0])
        raise BadRow(
            row,
            f", column {name!r} has {lengths[row]} features where row 0 has {lengths[0]}: all rows "
            "have one length",
        )
    width = int(lengths[0])
    flat = lists.flatten()
    if is_list(flat.type):
        raise NoNumber(
            f"column {name!r} holds {flat.type}, not numbers: give one vector for each row"
        )
    if not _is_numeric(flat.type):
        raise NoNumber(f"column {name!r} holds {flat.type}, not numbers")
    return _numbers(flat, f"column {name!r}").reshape(len(lists), width)


def _lengths(lists: Any) -> NDArray[np.int64]:
    """How many entries each list has; none is null."""
    if pa.types.is_list_view(lists.type) or pa.types.is_large_list_view(lists.type):
        return np.asarray(lists.sizes)  # pyarrow 16 has no kernel for views
    import pyarrow.compute as pc  # a tenth of what `import streampca` takes

    return np.asarray(pc.list_value_length(lists).to_numpy(zero_copy_only=False))


def _is_numeric(kind: pa.DataType) -> bool:
    return is_number(kind) or bool(pa.types.is_null(kind))


def _numbers(column: Any, name: str) -> Floats:
    column = _stored(column)
    kind = column.type
    if pa.types.is_run_end_encoded(kind):
        import pyarrow.compute as pc

        column = pc.run_end_decode(column)
        kind = column.type
    is_dictionary = pa.types.is_dictionary(kind)
    if is_dictionary:
        kind = kind.value_type
    if not _is_numeric(kind):
        raise _no_number(column, kind, name)
    if is_dictionary:
        column = column.cast(kind)
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.uint8()), pa.uint8()
    small = kind.bit_width <= 16 if not pa.types.is_null(kind) else False
    if not pa.types.is_floating(kind) or kind.bit_width == 16:
        # unsafe: a safe cast refuses whole numbers beyond 2**53, which lose digits here as in numpy
        column = column.cast(pa.float32() if small else pa.float64(), safe=False)
    if isinstance(column, pa.ChunkedArray):
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _no_number(column: Any, kind: pa.DataType, name: str) -> ValueError:
    valid = np.flatnonzero(np.asarray(_one_chunk(column.is_valid())))
    row = int(valid[0]) if valid.size else 0
    return BadKind(
        row,
        f", {name} is {short(column[row].as_py())} ({kind}), not a number: turn the feature into "
        "numbers first, or leave it out",
    )


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers.

    Examples
    --------
    >>> is_number(pa.decimal128(9, 2)), is_number(pa.string())
    (True, False)
    """
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )
