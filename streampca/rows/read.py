"""Whatever holds rows becomes one checked matrix; nothing above this file checks rows again.

Knows numpy, torch, Arrow, data frames and scipy.sparse. Knows nothing of what rows are used for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca._arrays import Array
from streampca.arrays import is_tensor, torch
from streampca.rows.entries import LARGEST, check_entries
from streampca.rows.frames import Columns, read_columns
from streampca.rows.numbers import label, number, numbers_of

__all__ = ["LARGEST", "InputRows", "check_entries", "read_rows", "read_weights"]

_SMALL_TORCH = ("bool", "uint8", "int8", "int16", "float16", "bfloat16")


class InputRows(NamedTuple):
    """Rows that can be computed with."""

    values: Array
    """(m, n) float32 or float64: a numpy array, a tensor on its device, or a csr_array."""
    feature_names: tuple[str, ...] | None
    squares: NDArray[np.float64] | None = None
    """() sum of all squares, or (n,) of each feature if that was asked for, where known."""


def read_rows(
    X: Any,
    *,
    feature_names: Sequence[str] | None = None,
    n_features: int | None = None,
    allow_missing: bool = False,
    largest: float = LARGEST,
    later: Callable[[torch.Tensor], bool] | None = None,
    squares: Callable[[int], bool] | None = None,
) -> InputRows:
    """Return the rows of X as one checked matrix.

    Parameters
    ----------
    X : array-like of shape (m, n)
        A numpy array, a torch tensor on any device, a list of lists, a pyarrow Table or
        RecordBatch (numeric columns, or one column of lists), a pandas, polars or other data
        frame that speaks Arrow, a scipy.sparse matrix or array; or what a torch DataLoader over a
        TensorDataset of one tensor yields, a list holding that one tensor. float32 and float64
        arrays are neither copied nor changed; half precision, booleans and 8- and 16-bit integers
        become float32, all else float64. Categories and Arrow dictionaries of numbers, and
        Decimals, are read as these numbers.
    feature_names : sequence of str, optional
        The names that a frame must have; its columns are put into this order.
    n_features : int, optional
        The width that rows must have.
    allow_missing : bool, default=False
        Whether NaN, None and null are let through (as NaN). Never in sparse rows.
    largest : float, optional
        The largest absolute value that can be computed with.
    later : callable, optional
        Whether the entries of a tensor are looked at by who gets it, and not here.
    squares : callable, optional
        Whether the sums of squares of each feature are wanted of so many rows.

    Returns
    -------
    InputRows
        `feature_names` is None unless X is a frame whose column names are strings.

    Raises
    ------
    ValueError
        If X cannot be used as it is; it names the row and the feature.

    Examples
    --------
    >>> read_rows([[1, 2], [3, 4]]).values
    array([[1., 2.],
           [3., 4.]])
    >>> read_rows([[1.0, 2.0], [3.0, float("nan")]])
    Traceback (most recent call last):
        ...
    ValueError: row 1, feature 1 is nan: leave the row out, fill it in, or use missing='impute'
    """
    X = _only_tensor(X)
    names: tuple[str, ...] | None = None
    sparse = sys.modules.get("scipy.sparse")
    if is_tensor(X):
        values = _from_tensor(X)
    elif sparse is not None and sparse.issparse(X):
        values = _from_sparse(X, sparse)
        allow_missing = False
    elif isinstance(X, np.ndarray):
        values = _from_numpy(X, feature_names)
    else:
        columns = read_columns(X, feature_names)
        if isinstance(columns, Columns):
            names = columns.names
            values = _from_numpy(columns.values, names)
        else:
            values = _from_anything(X, feature_names)
    _check_shape(values, n_features if feature_names is None else len(feature_names))
    if later is not None and is_tensor(X) and later(X):
        return InputRows(values, names)
    wanted = squares is not None and isinstance(values, np.ndarray) and squares(values.shape[0])
    known = names or feature_names
    found = check_entries(values, known, allow_missing, largest, by_feature=wanted)
    return InputRows(values, names, found)


def read_weights(sample_weight: Any, n_rows: int) -> NDArray[np.float64] | None:
    """Return one weight for each row as (n_rows,) float64, or None where none are given.

    Raises
    ------
    ValueError
        If a weight is negative, NaN, infinite or no number (it names the row), or if there is not
        one for each row.

    Examples
    --------
    >>> read_weights([1, 0, 3], 3)
    array([1., 0., 3.])
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, bool):  # the third argument of IncrementalPCA's partial_fit
        raise ValueError(
            f"sample_weight={sample_weight} is not accepted: give one weight for each of the "
            f"{n_rows} rows; check_input is given by name"
        )
    if is_tensor(sample_weight):
        sample_weight = sample_weight.detach().to("cpu", torch.float64).numpy()
    weights = np.asarray(sample_weight)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}: give one weight for each of the "
            f"{n_rows} rows, that is shape ({n_rows},)"
        )
    if weights.dtype.kind not in "fiub":
        weights = numbers_of(np.array(sample_weight, dtype=object), "the weight")
    weights = weights.astype(np.float64)
    good = np.isfinite(weights) & (weights >= 0)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"row {row}: the weight {weights[row]} is not accepted. Weights are finite and not "
            "negative: 3.0 counts a row three times, 0.0 leaves it out."
        )
    if weights.max(initial=0.0) > np.finfo(np.float64).max / max(n_rows, 1):
        raise ValueError("the weights may add up to more than a float holds: divide them all")
    return weights


def _only_tensor(X: Any) -> Any:
    """The tensor, where X is a DataLoader's batch holding one; X itself otherwise."""
    if not isinstance(X, (list, tuple)) or not any(is_tensor(x) for x in X):
        return X
    if len(X) == 1:
        return X[0]
    shapes = ", ".join(str(tuple(getattr(x, "shape", ()))) for x in X[:4])
    raise ValueError(
        f"got {len(X)} tensors (of shapes {shapes}{', ...' if len(X) > 4 else ''}): give the one "
        "that holds the rows, such as batch[0]; or torch.stack(rows) where each is one row"
    )


def _from_tensor(X: torch.Tensor) -> Array:
    if X.layout != torch.strided or X.is_quantized or X.device.type == "meta":
        raise ValueError(
            f"got a tensor of layout {X.layout}, dtype {X.dtype} on {X.device}: give a dense one "
            "that holds values (X.to_dense(), X.dequantize()), or rows as scipy.sparse"
        )
    if X.is_complex():
        raise ValueError(_complex(X.dtype))
    X = X.detach()
    if str(X.dtype).removeprefix("torch.") in _SMALL_TORCH:
        X = X.to(torch.float32)
    elif X.dtype not in (torch.float32, torch.float64):
        X = X.to(torch.float64)
    return X.numpy() if X.device.type == "cpu" else X


def _from_sparse(X: Any, sparse: Any) -> Any:
    if len(X.shape) != 2:
        _check_shape(X, None)
    if X.dtype.kind not in "fiub":
        raise ValueError(_complex(X.dtype) if X.dtype.kind == "c" else _not_numeric(X.dtype))
    rows = sparse.csr_array(X)  # shares its arrays with X where X is csr
    data = _as_float(rows.data)
    if data is not rows.data:
        rows = sparse.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)
    if not rows.has_canonical_format:
        rows = rows.copy()  # what follows works in place, and X is the caller's
        rows.sum_duplicates()
    return rows


def _from_numpy(X: NDArray[Any], names: Sequence[str] | None) -> NDArray[Any]:
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            "got a masked array, whose mask would be lost: give X.filled(numpy.nan) with "
            "missing='impute', or the rows without gaps"
        )
    X = np.asarray(X)  # numpy.matrix and memmap become plain views
    if (
        X.dtype.kind == "O"
        and X.ndim == 1
        and any(isinstance(row, (list, tuple, np.ndarray)) for row in X)
    ):
        return _from_anything(list(X), names)  # an array of rows
    if X.dtype.names is not None:
        raise ValueError(
            f"got a structured array with fields {X.dtype.names}: give "
            "numpy.lib.recfunctions.structured_to_unstructured(X)"
        )
    if X.dtype.kind == "c":
        raise ValueError(_complex(X.dtype))
    if X.dtype.kind in "OUST" and X.ndim == 2:
        names = names if names is not None and len(names) == X.shape[1] else None
        read = [numbers_of(X[:, j].astype(object), label(j, names)) for j in range(X.shape[1])]
        return np.stack(read, axis=1) if read else np.empty(X.shape)
    if X.dtype.kind not in "fiub" and X.ndim == 2:
        raise ValueError(_not_numeric(X.dtype))
    return _as_float(X)


def _from_anything(X: Any, names: Sequence[str] | None) -> NDArray[Any]:
    """Lists of lists, and whatever else numpy takes."""
    if X is None or isinstance(X, (str, bytes, dict, set, frozenset)) or hasattr(X, "__next__"):
        raise ValueError(
            f"got {type(X).__name__}, which does not hold rows: give a 2-D array, a list of rows "
            "or a data frame"
        )
    if isinstance(X, (list, tuple)) and any(isinstance(row, dict) for row in X):
        raise ValueError(
            "got a list of dictionaries: give a data frame (pandas.DataFrame(rows), "
            "pyarrow.Table.from_pylist(rows)), or use streampca.river.PCA"
        )
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(_ragged(X, names)) from error
    except UserWarning:  # of masked entries, where warnings are errors
        array = np.array(X, dtype=object)
    if array.dtype.kind in "USTMmc":
        # numpy made all entries alike, [[1.0, "a"]] all text: look at what was given instead
        array = np.array(X, dtype=object)
    return _from_numpy(array, names)


def _as_float(X: NDArray[Any]) -> NDArray[Any]:
    """X as float32 or float64 in native byte order; X itself where it is."""
    kind, size = X.dtype.kind, X.dtype.itemsize
    if kind not in "fiub":
        return X
    small = size <= (4 if kind == "f" else 2)
    with np.errstate(over="ignore"):  # a long double that becomes infinite is found and named
        return X.astype(np.float32 if small else np.float64, copy=False)


def _check_shape(values: Any, n_features: int | None) -> None:
    shape = tuple(values.shape)
    if len(shape) != 2:
        advice = ""
        if len(shape) == 1:
            advice = ": X.reshape(1, -1) if it is a single row, X.reshape(-1, 1) if one feature"
        raise ValueError(f"rows must be 2-D, (rows, features); got shape {shape}{advice}")
    if 0 in shape:
        raise ValueError(f"there is nothing to read: got {shape[0]} rows of {shape[1]} features")
    if n_features is not None and shape[1] != n_features:
        raise ValueError(f"rows have {shape[1]} features, but {n_features} are expected")


def _ragged(X: Any, names: Sequence[str] | None) -> str:
    """Say which of the rows is not like the first, or which entry is no number."""
    lengths = [len(row) if hasattr(row, "__len__") else None for row in X]
    for row, length in enumerate(lengths):
        if length != lengths[0]:
            found = "is no row" if length is None else f"has {length} features"
            return f"row {row} {found} where row 0 has {lengths[0]}: all rows have one length"
    names = names if names is not None and len(names) == lengths[0] else None
    for row, entries in enumerate(X):
        for column, entry in enumerate(entries):
            try:
                number(entry)
            except ValueError as error:
                return f"row {row}, {label(column, names)} {error}"
    return "entries of rows must be single numbers, but some are sequences of several lengths"


def _complex(dtype: object) -> str:
    return f"rows are complex ({dtype}): give real and imaginary parts as features of their own"


def _not_numeric(dtype: object) -> str:
    return f"rows are {dtype}, not numbers: turn them into numbers first"
