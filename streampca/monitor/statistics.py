"""SPE and T^2 of rows that have been centred: the arithmetic, without checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class Statistics:
    """SPE and T^2 of rows that have been centred; the arithmetic, without checks.

    With D (m, n) the rows less the mean, C (p, n) the components and lambda their variances:
    Z = D C', SPE = ||D - Z C||^2 and T^2 = sum_i z_i^2 / lambda_i, row by row. A direction in
    which the model has no variance is no component here: what a row has there counts as SPE.

    Parameters
    ----------
    components : ndarray of shape (p, n)
    variances : ndarray of shape (p,)
        Largest first.
    total_variance : float

    Attributes
    ----------
    n_kept : int
        Components that have variance.
    expected_spe : float
        The variance left out: the mean of SPE over the rows learned from.
    """

    def __init__(
        self, components: NDArray[Any], variances: NDArray[Any], total_variance: float
    ) -> None:
        eps = float(np.finfo(components.dtype).eps)
        values = np.asarray(variances, dtype="float64")
        kept = values > components.shape[1] * eps * values.max(initial=0.0)
        self.variances: Float64 = values[kept]
        self.components: Float64 = components[kept].astype("float64")  # (p, n)
        self._precisions: Float64 = 1.0 / self.variances
        self.n_kept = len(self.variances)
        rounding = eps * max(float(total_variance), 0.0)
        self.expected_spe = max(float(total_variance) - float(self.variances.sum()), rounding)

    def split(self, D: Float64) -> tuple[Float64, Float64]:
        """Coordinates Z (m, p) and rests E = D - Z C (m, n)."""
        Z = D @ self.components.T
        return Z, D - Z @ self.components

    def both(self, D: Float64) -> tuple[Float64, Float64]:
        """SPE and T^2, (m,) each."""
        Z, E = self.split(D)
        return np.einsum("ij,ij->i", E, E), (Z * Z / self.variances).sum(axis=1)

    def one(self, d: Float64) -> tuple[float, float]:
        """SPE and T^2 of one row (n,), in a fifth of the time that `both` takes for it."""
        z = self.components.dot(d)
        e = d - z.dot(self.components)
        return float(e.dot(e)), float((z * z).dot(self._precisions))

    def combine(self, spe: float, t2: float) -> float:
        """SPE / E[SPE] + T^2 / p: each in units of what is usual."""
        if self.expected_spe == 0.0:  # there was no variance at all
            return float("inf") if spe > 0 else 0.0
        return spe / self.expected_spe + t2 / max(self.n_kept, 1)
