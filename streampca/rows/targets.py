"""Rows of inputs with their targets: read together, refused together, each by its own name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from streampca.arrays import Array, is_tensor, namespace, torch
from streampca.rows.numbers import BadRow
from streampca.rows.read import InputRows, read_rows

_IMPUTE = ", fill it in, or use missing='impute'"


class Targets(NamedTuple):
    """Targets that can be computed with."""

    rows: InputRows
    single: bool  # whether they came as one number for each row


def read_inputs(X: Any, **expected: Any) -> InputRows:
    """Rows of X, where a gap cannot be imputed."""
    try:
        return read_rows(X, **expected)
    except BadRow as error:
        row, rest = error.args
        raise type(error)(row, rest.replace(_IMPUTE, " or fill it in")) from error


def read_targets(
    Y: Any, n_rows: int, *, names: Sequence[str] | None, n_targets: int | None, largest: float
) -> Targets:
    """Targets (m, n) of m rows; one number for each row is one target.

    Raises
    ------
    ValueError
        If they cannot be used, or if there is not one row of them for each of the inputs.
    """
    if Y is None:
        raise ValueError("Y is None: a regression needs the targets of its rows")
    single, Y = _as_matrix(Y)
    try:
        rows = read_inputs(Y, feature_names=names, n_features=n_targets, largest=largest, least=0)
    except ValueError as error:
        raise ValueError(f"targets Y: {error}") from error
    if hasattr(rows.values, "tocsr"):
        raise ValueError("targets Y are sparse: give Y.toarray()")
    if rows.values.shape[0] != n_rows:
        raise ValueError(
            f"X has {n_rows} rows, but Y has {rows.values.shape[0]}: give the targets of each row"
        )
    return Targets(rows, single)


def _as_matrix(Y: Any) -> tuple[bool, Any]:
    """Whether Y is one number for each row, and Y as rows."""
    if isinstance(Y, (list, tuple)) and not Y:
        Y = np.empty(0)
    if isinstance(Y, (list, tuple)) and np.ndim(Y[0]) == 0 and not isinstance(Y[0], str):
        Y = np.asarray(Y) if not is_tensor(Y[0]) else torch.stack(list(Y))
    if not hasattr(Y, "shape") and hasattr(Y, "__array__"):
        Y = np.asarray(Y)
    if len(getattr(Y, "shape", ())) != 1:
        return False, Y
    if len(Y) == 0:
        return True, np.empty((0, 0))  # of however many targets
    if not is_tensor(Y):
        Y = np.asanyarray(Y)  # a pandas or polars Series too; what is masked stays so
    return True, Y.reshape(-1, 1)


def r2(Y: Array, predicted: Array, weights: Array | None) -> float:
    """Coefficient of determination, averaged over targets, as scikit-learn's `r2_score` has it.

    A target without variance counts 1 where it is predicted perfectly, otherwise 0.
    """
    Y, predicted = (np.asarray(_host(V), "float64") for V in (Y, predicted))
    if len(Y) == 0:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")
    w = np.ones(len(Y)) if weights is None else weights
    if not w.any():
        raise ValueError("the weights of all rows are zero: there is nothing to score")
    Y, predicted = Y - Y[0], predicted - Y[0]  # so that constant targets have a total of 0 exactly
    lost = w @ (Y - predicted) ** 2
    total = w @ (Y - w @ Y / w.sum()) ** 2
    perfect = np.where(lost > 0, 0.0, 1.0)
    return float(np.where(total > 0, 1 - lost / np.where(total > 0, total, 1.0), perfect).mean())


def _host(V: Array) -> Array:
    return V if namespace(V) is np else V.detach().cpu().numpy()
