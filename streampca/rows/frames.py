"""Data frames and Arrow tables become a matrix and the names of its columns.

Frames are recognised by what they can do, not by importing the packages that define them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca._cells import is_number
from streampca.rows.numbers import label, numbers_of, short

_SHOWN = 5


class Columns(NamedTuple):
    """What a frame holds."""

    values: NDArray[Any]
    """(m, n) numbers of any numeric dtype; missing entries are NaN."""
    names: tuple[str, ...] | None
    """None where columns are not named by strings."""


def read_columns(X: Any, wanted: Sequence[str] | None) -> Columns | None:
    """Return the columns of a frame, in the order wanted if they have names; None if it is none."""
    if type(X).__module__.startswith("narwhals.") and hasattr(X, "to_native"):
        X = X.to_native()
    if isinstance(X, (pa.Table, pa.RecordBatch)):
        return _from_arrow(X, wanted)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(X, pandas.DataFrame):
        return _from_pandas(X, wanted)
    for load in ("collect", "compute"):  # polars' LazyFrame, dask: asking for columns costs work
        if hasattr(X, load):
            raise ValueError(
                f"got {type(X).__name__}, whose rows are not there yet: call .{load}() first"
            )
    if hasattr(X, "__arrow_c_stream__") and hasattr(X, "columns"):
        return _from_arrow(pa.table(X), wanted)
    return None


def _ordered(
    names: Sequence[Any], wanted: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, list[int] | None]:
    """Names of the columns as they are to be, and which columns to take if not all as they are."""
    texts = [isinstance(name, str) for name in names]
    if not any(texts):
        return None, None
    if not all(texts):
        other = names[texts.index(False)]
        raise ValueError(f"some column names are text, but {other!r} is not: rename the columns")
    names = tuple(str(name) for name in names)
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"two features are named {twice!r}: give each a name of its own")
    if wanted is None or tuple(wanted) == names:
        return names, None
    position = {name: i for i, name in enumerate(names)}
    missing = [name for name in wanted if name not in position]
    unexpected = sorted(set(names) - set(wanted), key=position.__getitem__)
    if missing or unexpected:
        parts = []
        if missing:
            parts.append(f"missing: {_listed(missing)}")
        if unexpected:
            parts.append(f"unexpected: {_listed(unexpected)}")
        raise ValueError(
            f"the features are not those seen before ({'; '.join(parts)}): give a frame with "
            f"these {len(wanted)} columns, in any order"
        )
    return tuple(wanted), [position[name] for name in wanted]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


# --- Arrow ------------------------------------------------------------------------------------


def _from_arrow(table: pa.Table | pa.RecordBatch, wanted: Sequence[str] | None) -> Columns:
    if table.num_columns == 1 and _is_list(table.schema.field(0).type):
        return Columns(_matrix_of_lists(table.column(0), table.schema.field(0).name), None)
    names, order = _ordered(table.schema.names, wanted)
    if order is not None:
        table = table.select(order)
    if table.num_columns == 0 or table.num_rows == 0:
        return Columns(np.empty((table.num_rows, table.num_columns)), names)
    if set(table.schema.types) <= {pa.float32(), pa.float64()}:
        # 784 columns of 1,000 rows: 0.8 ms, one by one 5 ms
        if isinstance(table, pa.Table):
            table = table.combine_chunks().to_batches()[0]
        return Columns(table.to_tensor(null_to_nan=True).to_numpy(), names)
    parts = [_from_arrow_column(column, label(j, names)) for j, column in enumerate(table.columns)]
    return Columns(_side_by_side(parts), names)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind))


def _one_chunk(column: Any) -> Any:
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def _matrix_of_lists(column: Any, name: str) -> NDArray[Any]:
    """One column whose entries are rows; no copy where it is one chunk of fixed-size lists."""
    lists = _one_chunk(column)
    if isinstance(lists, pa.ChunkedArray):  # no chunk at all
        lists = lists.combine_chunks()
    if len(lists) == 0:
        return np.empty((0, getattr(lists.type, "list_size", 1)))
    if lists.null_count:
        row = int(np.argmax(lists.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(f"row {row}, column {name!r} is null: a row of numbers is expected")
    import pyarrow.compute as pc  # a tenth of what `import streampca` takes

    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    other = np.flatnonzero(lengths != lengths[0])
    if other.size:
        row = int(other[0])
        raise ValueError(
            f"row {row}, column {name!r} has {lengths[row]} features where row 0 has "
            f"{lengths[0]}: all rows have one length"
        )
    width = int(lengths[0])
    flat = lists.flatten()
    if not _is_numeric(flat.type):
        raise ValueError(f"column {name!r} holds {flat.type}, not numbers")
    return _from_arrow_column(flat, f"column {name!r}").reshape(len(lists), width)


def _is_numeric(kind: pa.DataType) -> bool:
    return is_number(kind) or bool(pa.types.is_null(kind))


def _from_arrow_column(column: Any, name: str) -> NDArray[Any]:
    kind = column.type
    is_dictionary = pa.types.is_dictionary(kind)
    if is_dictionary:
        kind = kind.value_type
    if not _is_numeric(kind):
        raise ValueError(_no_number(column, kind, name))
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


def _no_number(column: Any, kind: pa.DataType, name: str) -> str:
    valid = np.flatnonzero(
        column.is_valid().to_numpy(zero_copy_only=False)
        if isinstance(column, pa.Array)
        else column.is_valid().to_numpy()
    )
    row = int(valid[0]) if valid.size else 0
    return (
        f"row {row}, {name} is {short(column[row].as_py())} ({kind}), not a number: turn the "
        "feature into numbers first, or leave it out"
    )


# --- pandas -----------------------------------------------------------------------------------


def _from_pandas(frame: Any, wanted: Sequence[str] | None) -> Columns:
    names, order = _ordered(list(frame.columns), wanted)
    if order is not None:
        frame = frame.iloc[:, order]
    dtypes = list(frame.dtypes)
    if all(isinstance(d, np.dtype) and d.kind in "fiu" for d in dtypes) or 0 in frame.shape:
        return Columns(frame.to_numpy(dtype=float if 0 in frame.shape else None), names)
    parts = [_from_series(frame.iloc[:, j], label(j, names)) for j in range(len(dtypes))]
    return Columns(_side_by_side(parts), names)


def _from_series(series: Any, name: str) -> NDArray[Any]:
    if hasattr(series.dtype, "fill_value"):  # pandas.SparseDtype
        series = series.sparse.to_dense()
    dtype = series.dtype
    if dtype.kind in "fiub":
        if isinstance(dtype, np.dtype):
            return np.asarray(series)
        small = dtype.kind == "b" or dtype.itemsize <= (4 if dtype.kind == "f" else 2)
        return np.asarray(series.to_numpy(dtype="f4" if small else "f8", na_value=np.nan))
    if dtype.kind == "c":
        raise ValueError(f"{name} is complex: give real and imaginary parts as features")
    values = np.asarray(series)  # categories become what they stand for
    if values.dtype.kind in "fiub":
        return values
    return numbers_of(np.array(series.astype(object), dtype=object), name)


def _side_by_side(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Columns as one matrix, column-major: each is copied as it stands."""
    kinds = np.result_type(*(_float_for(part.dtype) for part in parts))
    values = np.empty((len(parts), len(parts[0])), kinds)
    for row, part in zip(values, parts, strict=True):
        row[:] = part
    return values.T


def _float_for(dtype: np.dtype[Any]) -> np.dtype[Any]:
    small = dtype.itemsize <= (4 if dtype.kind == "f" else 2)
    return np.dtype(np.float32 if small else np.float64)
