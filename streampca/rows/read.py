"""Whatever holds rows becomes one checked matrix; nothing above this file checks rows again.

Knows numpy, torch, Arrow, data frames and scipy.sparse. Knows nothing of what rows are used for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, is_tensor
from streampca.rows.arrays import (
    from_anything,
    from_numpy,
    from_sparse,
    from_tensor,
    is_sparse,
    not_two_dimensions,
    only_tensor,
)
from streampca.rows.entries import LARGEST, check_entries, refuse_masked
from streampca.rows.frames import read_columns
from streampca.rows.minibatch import Minibatch, Squares
from streampca.rows.numbers import numbers_of

__all__ = ["LARGEST", "InputRows", "check_entries", "read_rows", "read_weights"]


class InputRows(NamedTuple):
    """Rows that can be computed with."""

    values: Array
    """(m, n) float32 or float64: a numpy array, a tensor on its device, or a csr_array."""
    feature_names: tuple[str, ...] | None
    known: Squares | None = None
    """Sums of squares, where the check of the entries has formed them."""

    def minibatch(self, weights: NDArray[np.float64] | None = None) -> Minibatch:
        """These rows with their weights, to be folded in."""
        return Minibatch(self.values, weights, known=self.known)


def read_rows(
    X: Any,
    *,
    feature_names: Sequence[str] | None = None,
    n_features: int | None = None,
    allow_missing: bool = False,
    largest: float = LARGEST,
    later: Callable[[Any], bool] | None = None,
    squares: Callable[[int], bool] | None = None,
    least: int = 1,
) -> InputRows:
    """Return the rows of X as one checked matrix.

    Parameters
    ----------
    X : array-like of shape (m, n)
        A numpy array, a torch tensor on any device, a list of lists, a pyarrow Table or
        RecordBatch, a pandas, polars or other data frame that speaks Arrow, a scipy.sparse matrix
        or array, an xarray DataArray, whatever speaks `__array__`, DLPack or Arrow; or what a
        torch DataLoader over a TensorDataset of one tensor yields, a list holding that one
        tensor. float32 and float64 arrays are neither copied nor changed; half precision,
        booleans and 8- and 16-bit integers become float32, all else float64. Categories and Arrow
        dictionaries of numbers, and Decimals, are read as these numbers; a frame's column of
        vectors `v` as features `v_0`, `v_1`, ...; what is masked as missing.
    feature_names : sequence of str, optional
        The names that a frame must have; its columns are put into this order, and others beside
        them are left out.
    n_features : int, optional
        The width that rows must have.
    allow_missing : bool, default=False
        Whether NaN, None and null are let through (as NaN). Never in sparse rows.
    largest : float, optional
        The largest absolute value that can be computed with.
    later : callable, optional
        Whether the entries of a tensor are checked by who gets it, and not here.
    squares : callable, optional
        Whether the sums of squares of each feature are wanted of so many rows.
    least : int, default=1
        How many rows there must be.

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
    streampca.rows.numbers.BadRow: row 1, feature 1 is nan: leave the row out, ...
    """
    X = only_tensor(X)
    names: tuple[str, ...] | None = None
    if is_tensor(X):
        values = from_tensor(X)
    elif is_sparse(X):
        values = from_sparse(X)
        allow_missing = False
    elif isinstance(X, np.ndarray):
        if not allow_missing:
            refuse_masked(X, feature_names)
        values = from_numpy(X, feature_names)
    else:
        columns = read_columns(X, feature_names)
        if columns is not None:
            names = columns.names
            values = from_numpy(columns.values, names)
        else:
            values = from_anything(X, feature_names)
    n_features = n_features if feature_names is None else len(feature_names)
    if tuple(values.shape) == (0, 0) and least == 0:
        # without rows, the width of vectors is not known
        return InputRows(np.empty((0, n_features or 0)), names)
    _check_shape(values, n_features, least)
    if later is not None and is_tensor(X) and later(X):
        return InputRows(values, names)
    wanted = squares is not None and isinstance(values, np.ndarray) and squares(values.shape[0])
    known = names or feature_names
    found = check_entries(values, known, allow_missing, largest, by_feature=wanted)
    return InputRows(values, names, found)


def read_weights(sample_weight: Any, n_rows: int | None) -> NDArray[np.float64] | None:
    """Return one weight for each row as (n_rows,) float64, or None where none are given.

    Without `n_rows`, of rows that are still to come, there may be any number of them.

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
        sample_weight = sample_weight.detach().cpu().double().numpy()
    if np.ma.is_masked(sample_weight):
        raise ValueError("sample_weight is masked: give the weight of each row, such as 0.0")
    weights = np.asarray(sample_weight)
    n_rows = len(weights) if n_rows is None and weights.ndim else n_rows
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}: give one weight for each of the "
            f"{n_rows} rows, that is shape ({n_rows},)"
        )
    if weights.dtype.kind not in "fiub":
        weights = numbers_of(np.array(sample_weight, dtype=object), "the weight")
    weights = weights.astype(np.float64)
    least = float(np.finfo(np.float64).tiny)  # smaller ones have lost digits
    good = np.isfinite(weights) & ((weights >= least) | (weights == 0))
    if not good.all():
        row = int(np.argmin(good))
        small = f" Multiply all, so that none is below {least:.3g}." if 0 < weights[row] < 1 else ""
        raise ValueError(
            f"row {row}: the weight {weights[row]} is not accepted. Weights are finite and not "
            f"negative: 3.0 counts a row three times, 0.0 leaves it out.{small}"
        )
    if weights.max(initial=0.0) > np.finfo(np.float64).max / max(len(weights), 1):
        raise ValueError("the weights may add up to more than a float holds: divide them all")
    return weights


def _check_shape(values: Any, n_features: int | None, least: int) -> None:
    shape = tuple(values.shape)
    if len(shape) != 2:
        raise ValueError(not_two_dimensions(shape))
    for count, what, fewest in ((shape[0], "sample", least), (shape[1], "feature", 1)):
        if count < fewest:
            raise ValueError(
                f"Found array with {count} {what}(s) (shape={shape}) while a minimum of {fewest} "
                f"is required: there is nothing to read: got {shape[0]} rows of {shape[1]} features"
            )
    if n_features is not None and shape[1] != n_features:
        raise ValueError(
            f"rows have {shape[1]} features, but {n_features} are expected (X has {shape[1]} "
            f"features, but streampca is expecting {n_features} features as input)"
        )
