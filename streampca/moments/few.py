"""Dense moments of a few rows at once: a window of six has a seventh of what an update costs.

The same numbers as `_explicitly` in centre.py centres to, without what it asks of streams, weights,
devices and float32; None where any of that would matter.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.moments.dense import DenseMoments
from streampca.moments.pairs import Pairs
from streampca.moments.thin import ThinScatter, pays


def dense_of_few(X: NDArray[Any], *, center: bool = True) -> DenseMoments | None:
    """Moments of rows X (m, n) of weight 1, float64 and checked; None if they are not so few.

    Examples
    --------
    >>> moments = dense_of_few(np.array([[1.0, 0.0, 0.0, 0.0, 2.0], [3.0, 0.0, 0.0, 0.0, 2.0]]))
    >>> moments.mean, moments.variance
    (array([2., 0., 0., 0., 2.]), array([2., 0., 0., 0., 0.]))
    """
    m, n = X.shape
    if m == 0 or X.dtype != np.float64 or not pays(m, n):
        return None
    Z, mean = X, None
    if center:
        # by the first row, then by their own mean: the difference of close numbers is exact
        Z = X - X[0]
        offset = (np.ones(m) @ Z) * (1.0 / m)
        Z -= offset
        mean = X[0] + offset
    if not math.isfinite(float(np.vdot(Z, Z))):
        return None  # whoever adds them says so
    moments = DenseMoments(n, center=center, dtype="float64", device=None)
    moments.begin_with(ThinScatter.of(Z), mean, Pairs.of_equal(float(m)), m)
    return moments
