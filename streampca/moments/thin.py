"""The scatter matrix of few rows as the rows themselves: Z (r, n) with Z'Z = S, exact.

While r is below n / 2 they are fewer numbers than S has, products cost less, and singular values
tell small variances that S has lost. Knows nothing of means, weights or merging.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import one_thread

Float64 = NDArray[np.float64]


class ThinScatter:
    """Rows Z (r, n), float64, none of them zero.

    Examples
    --------
    >>> thin = ThinScatter.of(np.array([[3.0, 0.0, 4.0, 0.0, 0.0], [0.0] * 5]))
    >>> len(thin.Z), thin.has_room_for(1), thin.has_room_for(2)
    (1, True, False)
    >>> values, vectors = thin.leading(2)
    >>> values, vectors[:, 1]
    (array([25.,  0.]), array([0., 0., 0., 0., 0.]))
    """

    def __init__(self, Z: Float64) -> None:
        self.Z = Z

    @classmethod
    def empty(cls, n_features: int) -> ThinScatter:
        """That of no rows."""
        return cls(np.zeros((0, n_features)))

    @classmethod
    def of(cls, *blocks: NDArray[Any]) -> ThinScatter:
        """That of the rows of all blocks (k, n)."""
        Z = np.concatenate(blocks, dtype="float64")
        # a row about its own mean is exactly zero, and says nothing
        return cls(Z[Z.any(axis=1)])

    def has_room_for(self, n_rows: int) -> bool:
        """Whether so many more rows leave it smaller than half of S."""
        return pays(len(self.Z) + n_rows, self.Z.shape[1])

    def scaled(self, factor: float) -> ThinScatter:
        """S times a factor >= 0."""
        return ThinScatter.of(self.Z * factor**0.5)

    def product(self, V: Float64) -> Float64:
        """S @ V (n, k)."""
        return self.Z.T @ (self.Z @ V)

    def whole(self) -> Float64:
        """S (n, n)."""
        with one_thread():
            return self.Z.T @ self.Z

    @property
    def diagonal(self) -> Float64:
        """The diagonal of S, (n,)."""
        return np.asarray(np.einsum("ij,ij->j", self.Z, self.Z))

    def leading(self, k: int) -> tuple[Float64, Float64]:
        """The k largest eigenvalues of S, (k,), and vectors (n, k), zero where S has no more."""
        values, vectors = np.zeros(k), np.zeros((self.Z.shape[1], k))
        r = min(k, len(self.Z))
        if r:
            with one_thread():
                _, s, Vt = np.linalg.svd(self.Z, full_matrices=False)
            values[:r], vectors[:, :r] = s[:r] ** 2, Vt[:r].T
        return values, vectors

    def norm(self) -> float:
        """Frobenius norm of S."""
        with one_thread():
            return float(np.linalg.norm(self.Z @ self.Z.T))

    def left_of(self, A: Float64) -> Float64:
        """Z outside of span(A) times its transpose, (r, r): what S has there has its eigenvalues.

        A (n, k) is orthonormal.
        """
        Y = self.Z - (self.Z @ A) @ A.T
        return np.asarray(Y @ Y.T)


def pays(n_rows: int, n_features: int) -> bool:
    """Whether so many rows are fewer numbers than half of S: its triangle says all of it."""
    return 2 * n_rows < n_features
