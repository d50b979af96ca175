"""The limit: products that no one-pass method can do without, alone on this machine.

Factored memory needs the coordinates of the rows, H = X A, and what they say of the directions,
X'H: 4 n p operations a row. Dense memory needs X'X, of which half suffices since it is symmetric;
numpy's BLAS sees that (SYRK). Outputs are allocated beforehand.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.peers.measure import Matrix


def two_products(n: int, p: int, m: int, dtype: str = "float32") -> Callable[[Matrix], object]:
    """X A and X'H for minibatches of up to m rows and p columns."""
    A = np.linalg.qr(np.random.default_rng(0).normal(size=(n, p)))[0].astype(dtype)
    H, G = np.empty((m, p), dtype), np.empty((n, p), dtype)

    def products(X: Matrix) -> Matrix:
        np.matmul(X, A, out=H[: len(X)])
        return np.matmul(X.T, H[: len(X)], out=G)

    return products


def own_product(n: int, dtype: str = "float32") -> Callable[[Matrix], object]:
    """X'X, by half."""
    S = np.empty((n, n), dtype)
    return lambda X: np.matmul(X.T, X, out=S)
