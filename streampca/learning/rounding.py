"""How much of a total variance is known: what is below is no variance, but rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unsure(
    total: float, eigenvalues: NDArray[np.float64], n_features: int, n_rows: int, dtype: str
) -> float:
    """What eigenvalues may leave of the total variance without there being any more.

    The total is a sum of n variances, the eigenvalue solver is off by eps in each of p values, in
    float64, and an eigenvalue of up to n eps of the first counts as zero. A variance is a sum of m
    terms, of which errors are as likely above as below: 4 m^(1/2) eps. Products of rows in float32
    are known to a few of its own eps: of rows of rank p whose numbers are exact, up to 1.5 were
    seen.
    """
    double, own = float(np.finfo("float64").eps), float(np.finfo(dtype).eps)
    steps = n_features + len(eigenvalues) + 4 * float(np.sqrt(max(n_rows, 0)))
    zeros = float((eigenvalues <= 0).sum())
    cut = zeros * n_features * double * float(eigenvalues[0])
    return (steps * double + 4 * own) * total + cut
