"""Dense moments: all of Sigma, n x n, exact to rounding; merging is addition."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import (
    Array,
    cast,
    eigh_descending,
    frobenius,
    namespace,
    one_thread,
    to_numpy,
    zeros,
)
from streampca.moments.base import Moments
from streampca.moments.centre import CentredRows
from streampca.moments.scatter import Scatter

_SMALLEST, _LARGEST = 1e-150, 1e150
"""Numbers whose squares are inside float64, for matrices of a few million of them."""


class DenseMoments(Moments):
    """Scatter matrix summed in float64 over products in the dtype of the rows.

    Memory is 8 n**2 bytes, and the sum of the last minibatches while it waits. The answer does not
    depend on the order or the batching of the rows beyond rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca.rows import Minibatch
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> moments = DenseMoments(3, dtype="float64", device=None)
    >>> moments.update(Minibatch(X[:20])); moments.update(Minibatch(X[20:]))
    >>> bool(np.allclose(moments @ np.eye(3), np.cov(X.T)))
    True
    """

    kind: ClassVar[str] = "dense"
    keeps_squares: ClassVar[bool] = False  # they are its diagonal
    _second_names: ClassVar[tuple[str, ...]] = ("scatter",)

    def __init__(
        self, n_features: int, *, center: bool = True, dtype: str = "float32", device: str | None
    ) -> None:
        super().__init__(n_features, center=center, dtype=dtype, device=device)
        self._sum = Scatter(zeros((n_features, n_features), "float64", device))

    @property
    def _scatter(self) -> Array:
        """All of it, (n, n) float64, to be changed in place."""
        return self._sum.whole

    @_scatter.setter
    def _scatter(self, value: Array) -> None:
        self._sum.whole = value

    def widened(self, places: NDArray[np.int64], mean: NDArray[np.float64]) -> DenseMoments:
        scatter = np.zeros((len(mean), len(mean)))
        scatter[np.ix_(places, places)] = to_numpy(self._scatter)
        return self._widened_with(places, mean, scatter=scatter)

    def _absorb(self, rows: CentredRows) -> None:
        rows.add_scatter(self._sum)

    def _merge_second(self, other: Self, between: Array) -> None:
        self._scatter += other._scatter if self.device is None else other._scatter.to(self.device)
        self._scatter += between[:, None] * between

    def _scale_second(self, factor: float) -> None:
        self._scatter *= factor

    def _product(self, V: Array) -> Array:
        # symmetric: thin products on this side take 4/5 of the time of those on the other
        return (cast(V, "float64").T @ self._scatter).T

    @property
    def _scatter_diagonal(self) -> Array:
        return self._sum.diagonal

    def leading(self, k: int) -> tuple[Array, Array]:
        values, vectors = eigh_descending(self._scatter)
        return vectors[:, :k], values[:k] / self.denominator

    def operations(self, m: int) -> float:
        return float(m) * self.n_features**2

    def solves_directly(self, k: int) -> bool:
        # measured on 2 cores: at n = 128 a full eigendecomposition takes 0.8 ms, and with k above
        # n / 6 a few warm steps cost as much as the full one
        return self.n_features <= 128 or 6 * k > self.n_features

    @property
    def norm(self) -> float:
        # squares of squares leave float64 where rows are beyond 1e75
        trace = self.total_variance * self.denominator
        if _SMALLEST < trace < _LARGEST:
            return frobenius(self._scatter) / self.denominator
        return frobenius(self._scatter / (trace or 1.0)) * self.total_variance

    def misses(self, A: Array, eigenvalues: Array, tolerance: float) -> bool:
        # Cholesky succeeds only where mu I - (Sigma - A diag(lambda) A') is positive definite,
        # that is where no eigenvalue outside A exceeds mu: n**3 / 3 operations for a proof that
        # a full eigendecomposition would give for about ten times as many
        xp: Any = namespace(A)
        mu = eigenvalues[-1] + tolerance * eigenvalues[0]
        M = (A * (eigenvalues * self.denominator)) @ A.T
        M -= self._scatter
        if xp is np:
            M[np.diag_indices(self.n_features)] += mu * self.denominator
            return not _positive_definite(M)
        xp.diagonal(M).add_(mu * self.denominator)
        return bool(xp.linalg.cholesky_ex(M).info)


_PANEL = 48
"""Columns of a symmetric matrix that are eliminated at once; measured at n = 784."""


def _positive_definite(M: NDArray[np.float64]) -> bool:
    """Whether Cholesky's factor of M (n, n) exists; it is written over M.

    numpy's own needs three more arrays of n x n, whose fresh pages take as long as the factor does:
    at n = 784 it takes 10 ms, this 4.6.
    """
    n = M.shape[0]
    for start in range(0, n, _PANEL):
        stop = min(start + _PANEL, n)
        panel = M[start:, start:stop]
        panel -= M[start:, :start] @ M[start:stop, :start].T
        with one_thread():
            try:
                L = np.linalg.cholesky(panel[: stop - start])
            except np.linalg.LinAlgError:
                return False
            below = np.linalg.inv(L).T
        panel[: stop - start] = L
        panel[stop - start :] = panel[stop - start :] @ below
    return True
