"""What holds of every solution, whatever the rows were, at every reading.

Said here once; held where solutions are made (exact.py), handed out and restored (the learner):

1. Components are orthonormal: |C C' - I| <= 1e-10 (1e-4 in float32). That holds for all of them:
   those that the rows have not shown yet have zero variance, so any orthonormal choice is right,
   and `completed` makes one.
2. 0 <= explained variances, largest first, and their sum is at most the total variance.
3. Explained variances are those of the rows to within `discarded_variance_` (a bound on the
   spectral norm of what is not remembered), residuals and rounding: some eps of the rows' type
   times the total variance.
4. Residuals are measured with products of what is remembered, never assumed.
5. None of this grows with the number of updates: directions are made orthonormal at each.

The first is checked at the price of a product of k x k, and mended. The second can only be missed
by rounding, since eigenvalues and the total are summed apart; what is taken away for it is said.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import apart

Float64 = NDArray[np.float64]

ORTHONORMAL = {"float32": 1e-5, "float64": 1e-11}
"""Largest |A'A - I| of a solution in this type. Float64 products and an eigenproblem leave 1e-14,
float32 components 1e-7 times the root of the number of features."""

ROUNDING = {"float32": 1e-5, "float64": 1e-12}
"""What sums in this type may differ by, relative to the total."""


def within_total(values: Float64, total: float) -> tuple[Float64, float]:
    """Eigenvalues that are not negative and add up to no more than the total, and the excess."""
    values = np.maximum(values, 0.0)
    excess = float(values.sum()) - total
    if not excess > 0:
        return values, 0.0
    return values * (max(total, 0.0) / (total + excess)), excess


def holds(components: NDArray[Any], values: Float64, total: float) -> bool:
    """Whether components (p, n) and explained variances (p,) are as said above."""
    dtype = components.dtype.name
    orthonormal = bool(apart(components.T.astype("float64")) <= 10 * ORTHONORMAL[dtype])
    allowed = (1 + 10 * ROUNDING[dtype]) * total
    return orthonormal and bool((values >= 0).all()) and float(values.sum()) <= allowed
