"""Which features of components to show where not all fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["leading_features"]


def leading_features(components: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Indices, in order, of the features with the largest loading on any of the components (p, n).

    Examples
    --------
    >>> leading_features(np.array([[0.1, 0.9, 0.0, 0.4]]), 2)
    array([1, 3])
    """
    largest = np.abs(components).max(axis=0)
    return np.sort(np.argsort(-largest, kind="stable")[:count])
