"""Rows of 100,000 features in blocks, with batch PCA known exactly and at no cost.

Rows are x = U diag(1/sqrt(i)) z with U (n, r) orthonormal and z Gaussian, r = 200: they lie in the
span of U, so their covariance is U S U' with S (r, r) that of the coefficients alone. Nothing
n x n is formed, and no method is told.
"""

from __future__ import annotations

import numpy as np

from benchmarks.peers.measure import Matrix, Truth


class WideRows:
    """A stream of n features; block i is the same each time it is asked for."""

    def __init__(self, n: int = 100_000, rank: int = 200, seed: int = 0) -> None:
        draws = np.random.default_rng(seed)
        self.U = np.linalg.qr(draws.normal(size=(n, rank)))[0].astype("float32")
        self.scales = (1.0 / np.sqrt(np.arange(1, rank + 1))).astype("float32")
        self.seed = seed

    def coefficients(self, block: int, m: int) -> Matrix:
        """(m, r) of block's rows."""
        draws = np.random.default_rng((self.seed, block))
        return draws.standard_normal((m, len(self.scales)), dtype="float32") * self.scales

    def block(self, block: int, m: int) -> Matrix:
        """(m, n) rows."""
        return self.coefficients(block, m) @ self.U.T

    def truth(self, blocks: int, m: int) -> WideTruth:
        """Batch PCA of the first blocks."""
        return WideTruth(self, np.concatenate([self.coefficients(i, m) for i in range(blocks)]))


class WideTruth(Truth):
    """Sigma is that of the coordinates in an orthonormal basis of the span of U."""

    def __init__(self, rows: WideRows, coefficients: Matrix) -> None:
        # rounded to float32, U is orthonormal to 1e-9 only: R puts that right
        self._basis, R = np.linalg.qr(rows.U.astype("float64"))
        super().__init__(coefficients @ R.T)
        self.vectors = self._basis @ self.vectors

    def kept(self, components: Matrix) -> float:
        Q, _ = np.linalg.qr(components.T.astype("float64"))
        C = self._basis.T @ Q  # (r, p)
        return float(np.einsum("ij,ij->", C, self.Sigma @ C))
