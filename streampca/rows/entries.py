"""Entries of a matrix that can be computed with: the first that cannot is named.

Knows rows as matrices only, not where they came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, column_squares, dtype_name, is_tensor, sum_of_squares
from streampca.rows.minibatch import Squares
from streampca.rows.numbers import BadRow, label

_MOST = {dtype: float(np.finfo(dtype).max) for dtype in ("float32", "float64")}

LARGEST = 1e151
"""The largest entry: the squares of a million such entries still add up to a float."""


def check_entries(
    values: Any,
    names: Sequence[str] | None,
    allow_missing: bool,
    largest: float,
    *,
    by_feature: bool = False,
) -> Squares | None:
    """Raise if an entry is NaN (unless allowed), infinite or too large, naming the first one.

    Return the sum of squares of an array (m, n), and with `by_feature` that of each feature, where
    that is all that need be read; its rows are then read once for both.
    """
    largest = min(largest, _MOST[dtype_name(values)])
    squares: Squares | None = None
    if by_feature:
        each = column_squares(values)
        squares = Squares(float(each.sum()), each)
    elif isinstance(values, np.ndarray) and values.flags.forc:  # in one piece
        squares = Squares(sum_of_squares(values))
    elif not is_tensor(values) and not isinstance(values, np.ndarray):
        squares = Squares(sum_of_squares(values.data[None]))
    if squares is not None and _shows(squares.total, largest):
        return squares
    if is_tensor(values):
        low, high = values.aminmax()  # one pass; NaN if there is one
        if bool((low >= -largest) & (high <= largest)):  # the one synchronisation with the device
            return None
        bad = _unfit(values, allow_missing, largest)
        if not bool(bad.any()):
            return None
        bad = bad.cpu().numpy()
    else:
        entries = values if isinstance(values, np.ndarray) else values.data
        if entries.size == 0 or _within(entries, allow_missing, largest):
            return None
        bad = _unfit(entries, allow_missing, largest)
    at = int(np.argmax(bad))
    sparse = bad.ndim == 1
    if sparse:
        row = int(np.searchsorted(values.indptr, at, side="right")) - 1
        column, value = int(values.indices[at]), float(values.data[at])
    else:
        row, column = divmod(at, bad.shape[1])
        value = float(values[row, column])
    where = f", {label(column, names)} is {value}"
    raise BadRow(row, _sentence(where, value, largest, sparse))


def refuse_masked(X: NDArray[Any], names: Sequence[str] | None) -> None:
    """Raise if an array is masked somewhere, naming the first entry that is."""
    if isinstance(X, np.ma.MaskedArray) and X.ndim == 2 and np.ma.getmaskarray(X).any():
        mask = np.ma.getmaskarray(X)
        if X.dtype.names is None:
            row, column = divmod(int(np.argmax(mask)), mask.shape[1])
            names = names if names is not None and len(names) == mask.shape[1] else None
            where = f", {label(column, names)} is masked"
            raise BadRow(row, _sentence(where, np.nan, LARGEST, False))


def unfit_entry(
    entries: NDArray[Any], names: Sequence[str] | None, largest: float, row: int
) -> str:
    """Say which is the first entry of a single row (1, n) that cannot be used; the row's number."""
    column = int(np.argmax(_unfit(entries[0], False, largest)))
    value = float(entries[0, column])
    return _sentence(f"row {row}, {label(column, names)} is {value}", value, largest, False)


def _sentence(where: str, value: float, largest: float, sparse: bool) -> str:
    if np.isinf(value):
        return f"{where}, or was too large for a float: leave the row out or rescale it"
    if abs(value) > largest:
        if largest not in (LARGEST, _MOST["float32"]):
            return (
                f"{where}: entries above {largest:.0e} cannot be squared and summed beside weights "
                "as large as those given; divide all weights by the largest, leave the row out or "
                "rescale the feature"
            )
        return (
            f"{where}: entries above {largest:.0e} cannot be squared and summed here; leave the "
            "row out or rescale the feature"
        )
    if sparse:
        return f"{where}: leave the row out or fill it in (sparse gaps are not imputed)"
    # the last words are those by which scikit-learn's users and checks know the mistake
    return f"{where}: leave the row out, fill it in, or use missing='impute' (input contains NaN)"


def _within(entries: NDArray[Any], allow_missing: bool, largest: float) -> bool:
    """Whether every entry can be used; without a temporary array."""
    if allow_missing:
        low, high = np.fmin.reduce(entries, axis=None), np.fmax.reduce(entries, axis=None)
        return bool((low >= -largest and high <= largest) or np.isnan(low))
    return bool(entries.min() >= -largest and entries.max() <= largest)  # NaN fails both


def _shows(squares: float, largest: float) -> bool:
    """Whether a sum of squares shows that no entry is too large, infinite or NaN."""
    return squares <= min(largest, largest * largest)  # no square is above their sum


def _unfit(entries: Array, allow_missing: bool, largest: float) -> Array:
    fit = abs(entries) <= largest
    return ~(fit | (entries != entries)) if allow_missing else ~fit
