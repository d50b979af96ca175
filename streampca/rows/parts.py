"""Large or lazy inputs part by part, so that never all of them is copied or loaded at once.

Knows how rows can be cut, not what is done with a part.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from streampca.arrays import is_tensor
from streampca.rows.arrays import is_vector, not_two_dimensions, only_tensor
from streampca.rows.frames import is_dask, is_frame_of_pandas, is_labelled, native
from streampca.rows.numbers import BadRow

_BLOCK = 2**21
"""Numbers in a part of what lies in memory or on a disk: 16 MB as float64."""

_FEWEST = 16
"""Rows in a part, however many features: hardly more than a model has components."""

_BLOCK_ON_DEVICE = 2**25
"""The same on a device, where many small products cost more than memory."""


def in_parts(X: Any, *, floats: bool) -> Iterator[Any] | None:
    """The rows of X in parts; None where X is to be read at once.

    Parameters
    ----------
    X : array-like
        Partitions of dask and record batches of an Arrow stream are loaded one at a time, what
        is in memory or mapped into it is cut.
    floats : bool
        Whether float32 and float64 arrays are cut as well, which are read without a copy.
    """
    if type(X) is np.ndarray and (X.size <= _BLOCK or (not floats and X.dtype.char in "fd")):
        return None  # 20 microseconds sooner, half of what a single row takes
    X = native(only_tensor(X))
    if isinstance(X, pa.RecordBatchReader):
        return _cut_all(_batches(X), floats)
    if is_dask(X):
        return _cut_all(_partitions(X), floats)
    return _cut(X, floats)


def refuse_what_is_read_once(X: Any) -> None:
    """Raise if the rows of X are gone once they have been read."""
    if isinstance(X, pa.RecordBatchReader):
        raise ValueError(
            "got a RecordBatchReader, which can be read only once: call fit with one, and "
            "transform with another"
        )


def number_of_rows(part: Any) -> int:
    """How many rows a part has."""
    return int(part.shape[0] if hasattr(part, "shape") else part.num_rows)


def renumbered(parts: Iterable[Any], use: Callable[[Any, int], int]) -> int:
    """Call `use(part, first)` with each part and the number of its first row; how many there were.

    `use` says how many rows the part had; the row that it names in an error is renumbered.
    """
    first = 0
    for part in parts:
        try:
            first += use(part, first)
        except BadRow as error:
            raise error.moved(first) from error.__cause__
    return first


def _cut_all(loaded: Iterator[Any], floats: bool) -> Iterator[Any]:
    for part in loaded:
        pieces = _cut(part, floats)
        yield from (part,) if pieces is None else pieces


def _cut(X: Any, floats: bool) -> Iterator[Any] | None:
    """Parts of what has rows already; None if it is small, or of a kind that is not cut."""
    slice_of = slicer(X, floats=floats)
    if slice_of is None:
        return None
    m = number_of_rows(X)
    if m <= _FEWEST:
        return None
    at_once = _BLOCK_ON_DEVICE if is_tensor(X) and X.device.type != "cpu" else _BLOCK
    rows = max(_FEWEST, at_once // max(_width(X, m), 1))
    if m <= rows:
        return None
    return (slice_of(start, min(start + rows, m)) for start in range(0, m, rows))


def _width(X: Any, m: int) -> int:
    """About how many numbers a row has, those of vectors among them."""
    if isinstance(X, (pa.Table, pa.RecordBatch)):
        return max(int(X.num_columns), int(X.nbytes) // (8 * m))
    n = int(X.shape[1])
    if hasattr(X, "estimated_size"):  # polars
        return max(n, int(X.estimated_size()) // (8 * m))
    if is_frame_of_pandas(X):
        return max(n, sum(len(value) if is_vector(value) else 1 for value in X.iloc[0]))
    return n


def slicer(X: Any, *, floats: bool) -> Callable[[int, int], Any] | None:
    """A function that slices the rows of X without a copy; None if X is not cut."""
    if isinstance(X, (pa.Table, pa.RecordBatch)):
        return lambda start, stop: X.slice(start, stop - start)
    if is_frame_of_pandas(X):
        return lambda start, stop: X.iloc[start:stop]
    if type(X).__module__.startswith("polars.") and len(getattr(X, "shape", ())) == 2:
        return lambda start, stop: X.slice(start, stop - start)
    if not (isinstance(X, np.ndarray) or is_tensor(X) or is_labelled(X)):
        return None
    plain = str(X.dtype).removeprefix("torch.") in ("float32", "float64")
    masked = isinstance(X, np.ma.MaskedArray)
    if len(X.shape) != 2 or (plain and not masked and not floats):
        return None
    if is_tensor(X) and str(X.layout) != "torch.strided":
        return None  # which torch cannot cut; whoever reads it says so
    return lambda start, stop: X[start:stop]


# --- lazy -----------------------------------------------------------------------------------------


def _batches(reader: pa.RecordBatchReader) -> Iterator[Any]:
    batches = iter(reader)
    first = next(batches, None)
    if first is None:
        yield reader.schema.empty_table()
        return
    yield from itertools.chain((first,), batches)


def _partitions(X: Any) -> Iterator[Any]:
    """Partitions of a dask frame, blocks of rows of a dask array or of an xarray around one."""
    shape = getattr(X, "shape", None)  # what is delayed has every attribute, but none that is true
    if not isinstance(shape, tuple):
        raise ValueError(f"got {type(X).__name__} of dask, which holds no rows: call .compute()")
    if len(shape) != 2:
        raise ValueError(not_two_dimensions(shape))
    if hasattr(X, "columns"):
        return (X.partitions[i].compute() for i in range(X.npartitions))
    if is_labelled(X):
        stops = list(itertools.accumulate(X.chunks[0], initial=0))
        return (X[start:stop].compute() for start, stop in itertools.pairwise(stops))
    return (X.blocks[i].compute() for i in range(X.numblocks[0]))
