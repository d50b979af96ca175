"""Data frames become a matrix and the names of its columns.

Frames are recognised by what they can do, not by importing the packages that define them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca.rows import arrow
from streampca.rows.arrays import from_anything, is_vector
from streampca.rows.names import choose, expanded, side_by_side
from streampca.rows.numbers import BadRow, NoNumber, label, numbers_of


class Columns(NamedTuple):
    """What a frame holds."""

    values: NDArray[Any]
    """(m, n) numbers of any numeric dtype; missing entries are NaN."""
    names: tuple[str, ...] | None
    """None where columns are not named by strings."""


def is_frame_of_pandas(X: Any) -> bool:
    """Whether X is a DataFrame of pandas."""
    return isinstance(X, _classes_of_pandas("DataFrame"))


def _classes_of_pandas(*names: str) -> tuple[type, ...]:
    """The types that pandas has: none before its import, some while another thread imports it."""
    pandas = sys.modules.get("pandas")
    return tuple(getattr(pandas, name) for name in names if hasattr(pandas, name))


def is_dask(X: Any) -> bool:
    """Whether X is a collection of dask, whose rows are not there yet."""
    graph = getattr(X, "__dask_graph__", None)
    return callable(graph) and graph() is not None


def is_labelled(X: Any) -> bool:
    """Whether X is an array of xarray."""
    return type(X).__module__.startswith("xarray.") and hasattr(X, "dims") and hasattr(X, "data")


def native(X: Any) -> Any:
    """The frame that is wrapped by narwhals; X itself otherwise."""
    if type(X).__module__.startswith("narwhals.") and hasattr(X, "to_native"):
        return X.to_native()
    return X


def read_columns(X: Any, wanted: Sequence[str] | None) -> Columns | None:
    """Return the columns of a frame, in the order wanted if they have names; None if it is none."""
    X = native(X)
    if isinstance(X, (pa.Table, pa.RecordBatch)):
        return Columns(*arrow.read_table(X, wanted))
    if is_frame_of_pandas(X):
        return _from_pandas(X, wanted)
    if (load := _how_to_load(X)) is not None:
        raise ValueError(
            f"got {type(X).__name__}, whose rows are not there yet: call .{load}() first"
        )
    if is_labelled(X):
        return _from_labelled(X, wanted)
    if hasattr(X, "data_vars"):
        raise ValueError(
            "got a Dataset: give X.to_array().transpose(...) with rows first, or X.to_dataframe()"
        )
    if isinstance(X, _classes_of_pandas("Series", "Index")):
        return None  # as numpy sees it
    return _from_arrow(X, wanted)


def _how_to_load(X: Any) -> str | None:
    """The method that reads a lazy object, such as polars' LazyFrame; None if it is not lazy."""
    if is_dask(X):
        return "compute"
    if hasattr(X, "dims"):  # xarray, which has compute() all the same
        return None
    return next((load for load in ("collect", "compute") if hasattr(X, load)), None)


def _from_arrow(X: Any, wanted: Sequence[str] | None) -> Columns | None:
    """Objects with Arrow's or the older protocol of frames."""
    try:
        if hasattr(X, "__arrow_c_stream__"):
            reader = (
                pa.table(_narrowed(X, wanted)) if hasattr(X, "columns") else pa.chunked_array(X)
            )
            if isinstance(reader, pa.ChunkedArray) and pa.types.is_struct(reader.type):
                reader = pa.Table.from_struct_array(reader)
        elif hasattr(X, "__arrow_c_array__"):
            reader = pa.array(X)
            if pa.types.is_struct(reader.type):
                reader = pa.RecordBatch.from_struct_array(reader)
        elif hasattr(X, "__dataframe__") and not hasattr(X, "__array__"):
            from pyarrow.interchange import from_dataframe

            reader = from_dataframe(X)
        else:
            return None
    except (pa.ArrowException, NotImplementedError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"got {type(X).__name__}, which cannot be given to Arrow ({error}): turn its columns "
            "into numbers first"
        ) from error
    if isinstance(reader, (pa.Table, pa.RecordBatch)):
        return Columns(*arrow.read_table(reader, wanted))
    return Columns(arrow.read_array(reader), None)


def _narrowed(X: Any, wanted: Sequence[str] | None) -> Any:
    """A frame of polars without columns that are not wanted: Arrow may not know their types."""
    if wanted is None or not type(X).__module__.startswith("polars."):
        return X
    if len(X.columns) == 1:  # of vectors, which need no name
        return X
    choose(X.columns, wanted, lambda place: True)  # or says which are missing
    known = {*wanted, *(name.rpartition("_")[0] for name in wanted)}
    kept = [name for name in X.columns if name in known]
    return X.select(kept)


# --- pandas -----------------------------------------------------------------------------------


def _from_pandas(frame: Any, wanted: Sequence[str] | None) -> Columns:
    every = list(frame.columns)
    if len(every) == 1 and f"{every[0]}_0" not in (wanted or ()):
        column = frame.iloc[:, 0]
        if _holds_vectors(column):
            return Columns(_vectors(column, every[0]), None)
        if len(frame) == 0 and (wanted is None or every[0] not in wanted):
            return Columns(np.empty((0, 0)), None)  # perhaps it would hold vectors
    columns, names = choose(
        every, wanted, lambda j: len(frame) == 0 or _holds_vectors(frame.iloc[:, j])
    )
    if len(frame) == 0 or not columns:
        width = len(columns) if wanted is None or names is None else len(wanted)
        return Columns(np.empty((len(frame), width)), names if wanted is None else tuple(wanted))
    if columns != list(range(len(every))):
        frame = frame.iloc[:, columns]
    dtypes = list(frame.dtypes)
    if all(isinstance(d, np.dtype) and d.kind in "fiu" for d in dtypes):
        return Columns(frame.to_numpy(), names)
    parts = [_from_series(frame.iloc[:, j], j, names) for j in range(len(dtypes))]
    return Columns(*side_by_side(parts, names, None if names is None else wanted))


def _holds_vectors(series: Any) -> bool:
    """Whether the first entry that there is in a column is a vector."""
    if series.dtype.kind != "O" or hasattr(series.dtype, "fill_value"):
        return False
    for value in series.array:
        if is_vector(value):
            return True
        if not _is_missing(value):
            return False
    return False


def _is_missing(value: Any) -> bool:
    gap = value is None or type(value).__name__ in ("NAType", "NaTType")
    return gap or (isinstance(value, float) and math.isnan(value))


def _vectors(series: Any, name: Any) -> NDArray[Any]:
    """A column whose entries are lists, tuples or arrays, as (m, k)."""
    rows = list(series.to_numpy(dtype=object))
    for row, value in enumerate(rows):
        if not is_vector(value):
            raise BadRow(row, f", column {name!r} is {value!r}: a row of numbers is expected")
    read = from_anything(rows, expanded([name], [len(rows[0])]))
    if read.ndim != 2:
        raise NoNumber(f"column {name!r} holds matrices: give one vector for each row")
    return read


def _from_series(series: Any, j: int, names: tuple[str, ...] | None) -> NDArray[Any]:
    name = label(j, names)
    if hasattr(series.dtype, "fill_value"):  # pandas.SparseDtype
        series = series.sparse.to_dense()
    if _holds_vectors(series):
        return _vectors(series, j if names is None else names[j])
    dtype = series.dtype
    if dtype.kind in "fiub":
        if isinstance(dtype, np.dtype):
            return np.asarray(series)
        small = dtype.kind == "b" or dtype.itemsize <= (4 if dtype.kind == "f" else 2)
        return np.asarray(series.to_numpy(dtype="f4" if small else "f8", na_value=np.nan))
    if dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} is complex: give real and imaginary parts as "
            "features"
        )
    values = np.asarray(series)  # categories become what they stand for
    if values.dtype.kind in "fiub":
        return values
    return numbers_of(np.array(series.astype(object), dtype=object), name)


# --- xarray -----------------------------------------------------------------------------------


def _from_labelled(X: Any, wanted: Sequence[str] | None) -> Columns:
    """Rows along the first dimension; names are the text beside the second, where there is any."""
    names = names_beside(X)
    if names is None:
        return Columns(from_anything(X.data, wanted), None)
    columns, names = choose(names, wanted, lambda j: False)
    values = from_anything(X.data, names)
    if columns != list(range(values.shape[1])):
        values = values[:, columns]
    return Columns(values, names)


def names_beside(X: Any) -> tuple[str, ...] | None:
    """Names of the features of an xarray, which stand in the coordinate of its second dimension."""
    coordinates = getattr(X, "coords", {})
    if len(X.dims) != 2 or X.dims[1] not in coordinates:
        return None
    names = coordinates[X.dims[1]].values
    if names.ndim != 1 or not all(isinstance(name, str) for name in names):
        return None
    return tuple(map(str, names))
