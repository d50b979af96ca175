"""Data frames whose columns are River features: any names, all numbers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.records import too_large
from streampca.rows import LARGEST, expanded, read_rows


def read_frame(X: Any, *, allow_missing: bool) -> tuple[NDArray[np.float64], list[Hashable]]:
    """Rows (m, k) as float64 and the names of their features.

    Raises
    ------
    ValueError
        If X is no frame or a value is no number; it names row and feature.
    """
    rows = read_rows(X, allow_missing=allow_missing, least=0)
    features = rows.feature_names or getattr(X, "columns", None)
    if features is None or not isinstance(rows.values, np.ndarray):
        raise ValueError(f"got {type(X).__name__}, whose features have no names: give a data frame")
    values, names = rows.values.astype(np.float64, copy=False), list(features)
    if len(names) == 1 < values.shape[1]:  # a column of vectors
        names = list(expanded(names, [values.shape[1]]))
    if len(set(names)) < values.shape[1]:
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"two features are named {twice!r}: give each a name of its own")
    if np.nanmax(np.abs(values), initial=0.0) > LARGEST:
        row, column = np.argwhere(np.abs(values) > LARGEST)[0]
        raise ValueError(too_large(f"row {row}, feature", names[column], values[row, column]))
    return values, names
