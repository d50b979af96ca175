"""Rows with their weights: which of them count, and whether their sums can be formed.

Knows rows as checked matrices; what they are used for is others' business.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streampca.rows.entries import LARGEST, check_entries
from streampca.rows.read import InputRows


def check_weighted(
    rows: InputRows,
    weights: NDArray[np.float64],
    names: Sequence[str] | None,
    *,
    allow_missing: bool = False,
    seen_later: bool = False,
) -> None:
    """Raise where an entry is too large for its weight; the first one is named.

    Rows that are checked later are checked now if some will not come so far: what is wrong
    later is named by its place among those that do.
    """
    heaviest = max(float(weights.max()), 1.0)
    if not weights.all() or (heaviest > 1.0 and not seen_later):
        names = rows.feature_names or names
        check_entries(rows.values, names, allow_missing, LARGEST * heaviest**-0.5)


def that_count(
    weights: NDArray[np.float64] | None, *sides: InputRows
) -> tuple[NDArray[np.float64] | None, tuple[InputRows, ...]]:
    """The weights, and the rows of each side, without those of weight 0: they are as if absent.

    None for weights that are all 1.

    Raises
    ------
    ValueError
        If no row is left.
    """
    if weights is None:
        return None, sides
    if not weights.any():
        raise ValueError(
            "the weights of all rows are zero: there is nothing to learn; give at least one row a "
            "weight above 0, or leave the call out"
        )
    if not weights.all():
        counting = np.flatnonzero(weights)
        sides = tuple(s._replace(values=s.values[counting], known=None) for s in sides)
        weights = weights[counting]
    return (None if (weights == 1.0).all() else weights), sides
