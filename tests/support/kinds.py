"""Containers that hold the same rows: every one has to give the model that a numpy array gives.

`CONTAINERS[name](values, names)` makes one; what the package behind it cannot hold it says by an
exception of its own, which is listed in `CANNOT`.
"""

import collections
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from extras import torch


class Speaks:
    """An object that has one protocol of another, and nothing else."""

    def __init__(self, of, *methods):
        self._of = of
        for name in methods:
            if not callable(getattr(of, name)):
                setattr(self, name, getattr(of, name))


def speaks(*methods):
    """A class of objects with these methods of what they wrap."""

    def forward(name):
        return lambda self, *given, **named: getattr(self._of, name)(*given, **named)

    calls = {name: forward(name) for name in methods if name != "__array_interface__"}
    return lambda of: type("Foreign", (Speaks,), calls)(of, *methods)


class Subclass(np.ndarray):
    """An array of somebody else's class."""


def _read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def _wide(values, *names):
    """The same rows with every other column, from memory of twice the size."""
    return np.repeat(values, 2, axis=1)[:, ::2]


def _labelled(values, names):
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(values, dims=["t", "sensor"], coords={"sensor": list(names)})


def _dask(values):
    return pytest.importorskip("dask.array").from_array(values, chunks=(7, 2))


def _dask_frame(values, names, **options):
    frames = pytest.importorskip("dask.dataframe")
    return frames.from_pandas(_pandas(values, names), npartitions=4, **options)


def _dask_vectors(values, names):
    config, frames = (pytest.importorskip(f"dask.{part}") for part in ("config", "dataframe"))
    with config.set({"dataframe.convert-string": False}):  # else vectors become text
        return frames.from_pandas(pd.DataFrame(_vectors_beside(values, names)), npartitions=3)


def _pandas(values, names):
    return pd.DataFrame(dict(zip(names, values.T, strict=True)))


def _table(values, names):
    return pa.table(dict(zip(names, map(np.ascontiguousarray, values.T), strict=True)))


def _stream(values, names):
    table = _table(values, names)
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=7))


def _lists(values, kind=pa.list_):
    return pa.array(values.tolist(), kind(pa.from_numpy_dtype(values.dtype)))


def _fixed(values):
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _vectors_beside(values, names):
    return {names[0]: values[:, 0], "v": list(values[:, 1:])}


ARRAYS = {
    "numpy": lambda v, n: v,
    "read-only": lambda v, n: _read_only(v),
    "columns first": lambda v, n: np.asfortranarray(v),
    "every other column": _wide,
    "backwards": lambda v, n: v[::-1].copy()[::-1],
    "other byte order": lambda v, n: v.astype(v.dtype.newbyteorder()),
    "matrix": lambda v, n: v.view(np.matrix),
    "subclass": lambda v, n: v.view(Subclass),
    "objects": lambda v, n: v.astype(object),
    "rows as objects": lambda v, n: pd.Series(list(v)).to_numpy(),
    "masked nowhere": lambda v, n: np.ma.masked_array(v, np.zeros(v.shape, bool)),
    "masked without a mask": lambda v, n: np.ma.masked_array(v),
    "masked rows": lambda v, n: [np.ma.masked_array(row) for row in v],
    "lists": lambda v, n: v.tolist(),
    "tuples": lambda v, n: tuple(map(tuple, v.tolist())),
    "a deque": lambda v, n: collections.deque(v.tolist()),
    "arrays in a list": lambda v, n: list(v),
    "decimals": lambda v, n: [[decimal.Decimal(float(x)) for x in row] for row in v],
    "a buffer": lambda v, n: memoryview(np.ascontiguousarray(v)),
    "array protocol": lambda v, n: speaks("__array__")(v),
    "array interface": lambda v, n: speaks("__array_interface__")(np.ascontiguousarray(v)),
    "DLPack": lambda v, n: speaks("__dlpack__", "__dlpack_device__")(v),
    "sparse": lambda v, n: sp.csr_array(v),
    "sparse columns": lambda v, n: sp.csc_matrix(v),
    "xarray without names": lambda v, n: pytest.importorskip("xarray").DataArray(v),
    "dask array": lambda v, n: _dask(v),
    "Series of arrays": lambda v, n: pd.Series(list(v)),
    "polars Series of arrays": lambda v, n: pl.Series(v),
    "polars Series of lists": lambda v, n: pl.Series(v.tolist()),
    "Arrow lists": lambda v, n: _lists(v),
    "Arrow views of lists": lambda v, n: _lists(v, pa.list_view),
    "Arrow lists in chunks": lambda v, n: pa.chunked_array([_lists(v[:3]), _lists(v[3:])]),
    "Arrow vectors": lambda v, n: _fixed(v),
    "Arrow tensors": lambda v, n: pa.table(
        {"v": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(v))}
    ),
    "pandas of vectors": lambda v, n: pd.DataFrame({"v": list(v)}),
    "pandas of lists": lambda v, n: pd.DataFrame({"v": v.tolist()}),
    "polars of arrays": lambda v, n: pl.DataFrame({"v": v}),
    "polars of lists": lambda v, n: pl.DataFrame({"v": v.tolist()}),
    "table of vectors": lambda v, n: pa.table({"v": _fixed(v)}),
    "pandas with numbered columns": lambda v, n: pd.DataFrame(v),
}
"""Without names of features."""

if torch:
    ARRAYS |= {
        "tensor": lambda v, n: torch.tensor(v),
        "tensor of columns": lambda v, n: torch.tensor(np.ascontiguousarray(v.T)).T,
        "tensor in a list": lambda v, n: [torch.tensor(v)],
        "DLPack of a tensor": lambda v, n: speaks("__dlpack__", "__dlpack_device__")(
            torch.tensor(v)
        ),
    }

FRAMES = {
    "pandas": _pandas,
    "pandas nullable": lambda v, n: _pandas(v, n).convert_dtypes(),
    "pandas of Arrow": lambda v, n: pa.Table.to_pandas(_table(v, n), types_mapper=pd.ArrowDtype),
    "pandas categories": lambda v, n: _pandas(v, n).astype("category"),
    "pandas objects": lambda v, n: _pandas(v, n).astype(object),
    "pandas with other columns": lambda v, n: _pandas(v, n).assign(when="now", more=1.0),
    "pandas in another order": lambda v, n: _pandas(v, n)[list(n)[::-1]],
    "polars": lambda v, n: pl.from_arrow(_table(v, n)),
    "table": _table,
    "table in chunks": lambda v, n: pa.concat_tables([_table(v, n)[:3], _table(v, n)[3:]]),
    "table with other columns": lambda v, n: _table(v, n).append_column(
        "when", pa.array(["now"] * len(v))
    ),
    "record batch": lambda v, n: _table(v, n).combine_chunks().to_batches()[0],
    "dictionaries of Arrow": lambda v, n: pa.table(
        {name: pa.array(column).dictionary_encode() for name, column in zip(n, v.T, strict=True)}
    ),
    "structs": lambda v, n: _table(v, n).to_struct_array(),
    "stream of batches": _stream,
    "Arrow protocol": lambda v, n: speaks("__arrow_c_stream__")(_table(v, n)),
    "frame protocol": lambda v, n: speaks("__dataframe__")(_table(v, n)),
    "xarray": _labelled,
    "xarray of dask": lambda v, n: _labelled(v, n).chunk({"t": 7, "sensor": 2}),
    "dask frame": _dask_frame,
    "dask frame without divisions": lambda v, n: _dask_frame(v, n, sort=False),
}
"""With names of features."""

BESIDE = {
    "pandas": lambda v, n: pd.DataFrame(_vectors_beside(v, n)),
    "pandas of Arrow": lambda v, n: pa.Table.to_pandas(
        pa.table({n[0]: v[:, 0], "v": _lists(v[:, 1:])}), types_mapper=pd.ArrowDtype
    ),
    "polars of arrays": lambda v, n: pl.DataFrame({n[0]: v[:, 0], "v": v[:, 1:]}),
    "polars of lists": lambda v, n: pl.DataFrame({n[0]: v[:, 0], "v": v[:, 1:].tolist()}),
    "table of vectors": lambda v, n: pa.table({n[0]: v[:, 0], "v": _fixed(v[:, 1:])}),
    "table of lists": lambda v, n: pa.table({"v": _lists(v[:, 1:]), n[0]: v[:, 0]}),
    "dask frame": _dask_vectors,
}
"""A column of vectors `v` beside one of numbers."""

DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64", "longdouble", "bfloat16"),
)

_NUMPY_ONLY = {
    "bfloat16": {*ARRAYS, *FRAMES}
    - {
        *("numpy", "read-only", "columns first", "every other column", "backwards", "matrix"),
        *("subclass", "objects", "rows as objects", "masked nowhere", "masked without a mask"),
        *("masked rows", "lists", "tuples", "a deque", "arrays in a list", "decimals"),
        *("array protocol", "xarray without names", "xarray", "dask array", "xarray of dask"),
        *("Series of arrays", "pandas objects", "pandas of vectors", "pandas of lists"),
    },
    "longdouble": {
        *("DLPack", "tensor", "tensor of columns", "tensor in a list", "DLPack of a tensor"),
        *("Arrow lists", "Arrow views of lists", "Arrow lists in chunks", "Arrow vectors"),
        *("Arrow tensors", "polars Series of arrays", "polars of arrays", "table of vectors"),
        *("pandas of Arrow", "polars", "table", "table in chunks", "table with other columns"),
        *("record batch", "dictionaries of Arrow", "structs", "stream of batches"),
        *("Arrow protocol", "frame protocol", "pandas nullable", "pandas categories"),
        *("polars Series of lists", "polars of lists"),
    },
    "float16": {
        *("sparse", "sparse columns", "dictionaries of Arrow", "pandas nullable"),
        *("pandas categories", "polars Series of arrays", "polars of arrays"),
    },
    "bool": {"Arrow tensors", "array interface of bool"},
}


def cannot(name, dtype):
    """Whether the package behind a container cannot hold numbers of this type."""
    return name in _NUMPY_ONLY.get(dtype, ())


def values_of(dtype, m=40, n=4):
    """Rows (m, n) of a type, with components that are far from each other."""
    draws = np.random.default_rng(3)
    if dtype == "bool":
        return draws.random(size=(m, n)) < [0.5, 0.2, 0.05, 0.9]
    rows = draws.normal(size=(m, n)) * [9, 5, 2, 1] + 40
    if dtype == "bfloat16":
        return rows.astype(pytest.importorskip("ml_dtypes").bfloat16)
    return rows.astype(dtype)
