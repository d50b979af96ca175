"""Gaps of rows filled by what a model expects there, given the entries that the row has.

Knows components and variances, and centred rows; neither means nor units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, namespace

Float64 = NDArray[np.float64]

_FEW_ROWS = 4
"""Fewer rows with gaps are filled one by one: preparing the product for all costs more."""

MOST_NUMBERS = 2**21
"""Numbers in a temporary array while gaps are filled, or sparse rows made dense: 16 MB."""


class Filling(NamedTuple):
    """Probabilistic PCA as a regulariser; variances in units of the largest: only ratios matter."""

    components: Float64  # (p, n)
    variances: Float64  # (p,) of coordinates, without noise
    noise: float

    def rest(self, D: Float64) -> Float64:
        """What is expected of all entries (m, n) of centred rows (m, n), NaN where they have gaps.

        The expectation of a row's coordinates given its own entries, times the components: their
        least-squares fit, regularised by what coordinates are without any.
        """
        if not len(self.components):
            return np.zeros_like(D)
        gaps = np.isnan(D)
        expected = np.empty_like(D)
        for start in range(0, len(D), self._together):
            rows = slice(start, start + self._together)
            seen = ~gaps[rows]
            z = self.coordinates(seen, np.where(seen, D[rows], 0.0))
            expected[rows] = z @ self.components
        return expected

    @property
    def _together(self) -> int:
        """Rows whose p x p systems take no more memory than a few minibatches."""
        return max(1, MOST_NUMBERS // len(self.components) ** 2)

    def coordinates(self, seen: NDArray[np.bool_], D: Float64) -> Float64:
        """Expected coordinates (k, p) of centred rows, zero where not seen (k, n).

        Tipping & Bishop (1999), Eq. 12, for C' z with z of variances eigenvalues - noise.
        """
        C, variances, noise = self
        p, n = C.shape
        seen = seen & (C != 0).any(axis=0)  # others say nothing
        z = np.empty((len(D), p))
        # M below is singular but for noise / variances where fewer entries were seen than there are
        # large variances, Sigma but for noise where more were. So both are to 1 / noise**0.5.
        enough = seen.sum(axis=1) >= (variances > noise**0.5).sum()
        if enough.any():
            if len(D) < _FEW_ROWS or n * p * p > MOST_NUMBERS:
                M = np.stack([C[:, s] @ C[:, s].T for s in seen[enough]])
            else:  # all rows' C diag(seen) C' in one product
                M = (seen[enough] @ (C[:, None] * C).reshape(p * p, n).T).reshape(-1, p, p)
            right = (D[enough] @ C.T)[..., None]
            z[enough] = np.linalg.solve(M + np.diag(noise / variances), right)[..., 0]
        for i in np.flatnonzero(~enough):
            S = C[:, seen[i]]
            Sigma = (S.T * variances) @ S + noise * np.eye(S.shape[1])
            z[i] = variances * (S @ np.linalg.solve(Sigma, D[i, seen[i]]))
        return z


def has_gaps(X: Array) -> bool:
    """Whether an entry is NaN; sparse rows have none."""
    return not hasattr(X, "tocsr") and bool(namespace(X).isnan(X).any())
