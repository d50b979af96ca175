"""Lengths of columns, of numbers of any size."""

from __future__ import annotations

import numpy as np

from streampca.arrays.backend import cast, column_squares, dtype_name, namespace
from streampca.arrays.lazy import Array

_SQUARED = {"float32": (1e-24, 1e30), "float64": (1e-200, 1e200)}
"""Sums of squares between these are well inside the type: what it loses of small entries is nothing
beside them."""


def unit_columns(R: Array) -> tuple[Array, Array]:
    """Columns of R scaled to length 1 (zero columns stay zero), and their lengths in float64."""
    xp = namespace(R)
    lengths = _of_usual_numbers(R)
    if lengths is not None:
        return R / cast(lengths, dtype_name(R)), lengths
    # the largest entry first: squares of float32 entries below 1e-19 or above 1e19 leave its range
    largest = xp.abs(R).max(axis=0) if xp is np else R.abs().amax(dim=0)
    scale = xp.where(largest > 0, largest, xp.ones_like(largest))
    R = R / scale
    lengths = xp.sqrt(column_squares(R))
    R /= cast(xp.where(lengths > 0, lengths, xp.ones_like(lengths)), dtype_name(R))
    return R, cast(largest, "float64") * lengths


def column_lengths(R: Array) -> Array:
    """Length of each column of R, in float64."""
    lengths = _of_usual_numbers(R)
    return unit_columns(R)[1] if lengths is None else lengths


def _of_usual_numbers(R: Array) -> Array | None:
    """Lengths of columns on the host whose squares lose nothing; None of others."""
    if namespace(R) is not np:
        return None
    squares = column_squares(R)
    least, most = _SQUARED[dtype_name(R)]
    return np.sqrt(squares) if ((squares > least) & (squares < most)).all() else None
