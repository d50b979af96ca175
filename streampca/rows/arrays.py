"""Arrays and lists of any kind become float32 or float64 arrays, tensors or sparse rows.

Knows types of entries and layouts of memory; nothing of names, widths or missing entries.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, is_tensor, torch
from streampca.rows.numbers import (
    BadKind,
    BadRow,
    NoNumber,
    is_float_of_others,
    label,
    number,
    numbers_of,
)

Floats = NDArray[Any]
Names = Sequence[str] | None

_OWN = (np.dtype("float32"), np.dtype("float64"))
"""Types that rows are computed with as they are."""


def is_sparse(X: Any) -> bool:
    """Whether X is a matrix or an array of scipy.sparse."""
    # The function is missing while another thread imports the module.
    issparse = getattr(sys.modules.get("scipy.sparse"), "issparse", None)
    return issparse is not None and bool(issparse(X))


def is_vector(value: Any) -> bool:
    """Whether an object holds numbers side by side, as a row does; text and dictionaries do not."""
    if isinstance(value, (list, tuple)):
        return True
    return len(getattr(value, "shape", None) or ()) > 0 and hasattr(value, "__len__")


def only_tensor(X: Any) -> Any:
    """The tensor, where X is a DataLoader's batch holding one; X itself otherwise."""
    if not isinstance(X, (list, tuple)) or not any(map(is_tensor, X)):
        return X
    if len(X) == 1:
        return X[0]
    shapes = ", ".join(str(tuple(getattr(x, "shape", ()))) for x in X[:4])
    raise ValueError(
        f"got {len(X)} tensors (of shapes {shapes}{', ...' if len(X) > 4 else ''}): give the one "
        "that holds the rows, such as batch[0]; or torch.stack(rows) where each is one row"
    )


def from_tensor(X: Any) -> Array:
    """A tensor on its device, or the numpy array that shares its memory on the CPU."""
    if X.layout != torch.strided or X.is_quantized or X.device.type == "meta":
        raise ValueError(
            f"got a tensor of layout {X.layout}, dtype {X.dtype} on {X.device}: give a dense one "
            "that holds values (X.to_dense(), X.dequantize()), or rows as scipy.sparse"
        )
    if X.is_complex():
        raise ValueError(_complex(X.dtype))
    X = X.detach()
    if X.is_neg():
        X = X.resolve_neg()  # a view that numpy cannot share
    if X.dtype not in (torch.float32, torch.float64):
        small = X.element_size() <= 2
        X = X.to(torch.float32 if small else torch.float64)
    return X.numpy() if X.device.type == "cpu" else X


def from_sparse(X: Any) -> Any:
    """Rows of scipy.sparse as a csr_array without duplicates."""
    sparse = sys.modules["scipy.sparse"]
    if len(X.shape) != 2:
        raise ValueError(not_two_dimensions(X.shape))
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


def from_numpy(X: Floats, names: Names) -> Floats:
    """An array of any type of numbers as float32 or float64; X itself where it is."""
    if type(X) is np.ndarray and X.dtype in _OWN:
        return X
    if isinstance(X, np.ma.MaskedArray):
        return _from_masked(X, names)
    X = np.asarray(X)  # numpy.matrix and memmap become plain views
    if X.dtype.kind == "O" and X.ndim == 1 and any(map(is_vector, X)):
        return from_anything(list(X), names)  # an array of rows
    if X.dtype.names is not None:
        raise ValueError(
            f"got a structured array with fields {X.dtype.names}: give "
            "numpy.lib.recfunctions.structured_to_unstructured(X)"
        )
    if X.dtype.kind in "cW":  # the latter of ml_dtypes
        raise ValueError(_complex(X.dtype))
    if X.dtype.kind in "OUST" and X.ndim == 2:
        names = names if names is not None and len(names) == X.shape[1] else None
        read = [numbers_of(X[:, j].astype(object), label(j, names)) for j in range(X.shape[1])]
        return np.stack(read, axis=1) if read else np.empty(X.shape)
    if is_float_of_others(X.dtype):
        return X.astype(np.float32 if X.dtype.itemsize <= 4 else np.float64)
    if X.dtype.kind not in "fiub" and X.ndim == 2:
        raise NoNumber(_not_numeric(X.dtype))
    return _as_float(X)


def _from_masked(X: np.ma.MaskedArray[Any, Any], names: Names) -> Floats:
    """The array under the mask, with NaN where it is masked."""
    mask, data = np.ma.getmaskarray(X), np.array(X.data)
    if data.dtype.names is not None:
        return from_numpy(data, names)
    if data.dtype.kind == "O":
        data[mask] = None
        return from_numpy(data, names)
    read = np.array(from_numpy(data, names))
    if read.shape != mask.shape:  # of an array of rows
        raise ValueError("got a masked array of sequences: give a masked array of numbers")
    read[mask] = np.nan
    return read


def from_anything(X: Any, names: Names) -> Floats:
    """Lists of lists, and whatever else numpy takes."""
    if X is None or isinstance(X, (str, bytes, dict, set, frozenset)) or hasattr(X, "__next__"):
        raise NoNumber(_no_rows(X))
    if isinstance(X, (list, tuple)) and any(isinstance(row, dict) for row in X):
        raise NoNumber(
            "got a list of dictionaries: give a data frame (pandas.DataFrame(rows), "
            "pyarrow.Table.from_pylist(rows)), or use streampca.river.PCA; float() argument must "
            "be a string or a real number, not 'dict'"
        )
    if hasattr(X, "__cuda_array_interface__"):
        raise ValueError(_on_a_device(X))
    if isinstance(X, (list, tuple)) and any(isinstance(row, np.ma.MaskedArray) for row in X):
        return _from_masked_rows(X, names)
    if hasattr(X, "__dlpack__") and not hasattr(X, "__array__"):
        X = _from_dlpack(X)
    try:
        array = np.asanyarray(X)  # what is masked stays so
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        if not isinstance(X, (list, tuple)):
            raise NoNumber(f"got {type(X).__name__}, which gives no array: {error}") from error
        raise _ragged(X, names) from error
    except UserWarning:  # of masked entries, where warnings are errors
        array = np.array(X, dtype=object)
    if array.ndim == 0 and array.dtype == object:
        raise NoNumber(_no_rows(X))
    if array.dtype.kind in "USTMm" or (array.dtype.kind == "c" and isinstance(X, (list, tuple))):
        # numpy made all entries alike, [[1.0, "a"]] all text: read what was given instead
        array = np.array(X, dtype=object)
    return from_numpy(array, names)


def _from_masked_rows(X: Sequence[Any], names: Names) -> Floats:
    """Rows some of which are masked: numpy would take what lies under the mask."""
    lengths = [len(row) if np.ndim(row) == 1 else -1 for row in X]
    if -1 in lengths:
        raise ValueError("got a list of masked arrays that are no rows: give a masked array")
    other = next((row for row, length in enumerate(lengths) if length != lengths[0]), None)
    if other is not None:
        raise _other_length(other, lengths)
    return _from_masked(np.ma.array([np.ma.asarray(row) for row in X]), names)


def _from_dlpack(X: Any) -> Any:
    kind = int(X.__dlpack_device__()[0]) if hasattr(X, "__dlpack_device__") else 1
    if kind not in (1, 3):  # memory of the host; the same pinned
        raise ValueError(_on_a_device(X))
    try:
        return np.from_dlpack(X)
    except (BufferError, RuntimeError) as error:  # types that numpy has not, such as bfloat16
        raise ValueError(
            f"got {type(X).__name__}, whose numbers numpy cannot take ({error}): give them as "
            "float32, or as a tensor by torch.from_dlpack(X)"
        ) from error


def _as_float(X: Floats) -> Floats:
    """X as float32 or float64 in native byte order; X itself where it is."""
    kind, size = X.dtype.kind, X.dtype.itemsize
    if kind not in "fiub":
        return X
    small = size <= (4 if kind == "f" else 2)
    with np.errstate(over="ignore"):  # a long double that becomes infinite is named
        return X.astype(np.float32 if small else np.float64, copy=False)


# --- sentences ----------------------------------------------------------------------------------


def not_two_dimensions(shape: Sequence[int]) -> str:
    """Say that rows are not a matrix, in words that scikit-learn's users know."""
    if len(shape) > 2:
        return (
            f"Found array with dim {len(shape)}, while dim <= 2 is required: rows must be 2-D, "
            f"(rows, features); got shape {tuple(shape)}"
        )
    found = "1D array" if shape else "scalar array"
    advice = ""
    if shape:
        advice = (
            ". Reshape your data: X.reshape(1, -1) if it is a single row, X.reshape(-1, 1) if one "
            "feature"
        )
    return (
        f"Expected 2D array, got {found} instead: rows must be 2-D, (rows, features); got shape "
        f"{tuple(shape)}{advice}"
    )


def _ragged(X: Sequence[Any], names: Names) -> ValueError:
    """Say which of the rows is not like the first, or which entry is no number."""
    lengths = [len(row) if hasattr(row, "__len__") else None for row in X]
    other = next((row for row, length in enumerate(lengths) if length != lengths[0]), None)
    if other is not None:
        return _other_length(other, lengths)
    names = names if names is not None and len(names) == lengths[0] else None
    for row, entries in enumerate(X):
        for column, entry in enumerate(entries):
            try:
                number(entry)
            except ValueError as error:
                kind = BadKind if isinstance(error, NoNumber) else BadRow
                return kind(row, f", {label(column, names)} {error}")
    return ValueError(
        "entries of rows must be single numbers, but some are sequences of several lengths"
    )


def _other_length(row: int, lengths: Sequence[int | None]) -> BadRow:
    length = lengths[row]
    found = "is no row" if length is None else f"has {length} features"
    return BadRow(row, f" {found} where row 0 has {lengths[0]}: all rows have one length")


def _no_rows(X: Any) -> str:
    return (
        f"got {type(X).__name__}, which does not hold rows: give a 2-D array, a list of rows or a "
        f"data frame (float() argument must be a string or a real number, not "
        f"{type(X).__name__!r})"
    )


def _on_a_device(X: Any) -> str:
    return (
        f"got {type(X).__module__}.{type(X).__name__} on a device: give torch.from_dlpack(X), "
        "which is computed with where it lies, or a numpy array of it"
    )


def _complex(dtype: object) -> str:
    return (
        f"Complex data not supported: rows are complex ({dtype}): give real and imaginary parts "
        "as features of their own"
    )


def _not_numeric(dtype: object) -> str:
    return f"rows are {dtype}, not numbers: turn them into numbers first"
