"""Dense moments: all of Sigma, exact to rounding; merging is addition.

Few rows are kept as they are (thin.py), until they make an n x n matrix.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import (
    Array,
    cast,
    eigh_descending,
    frobenius,
    leading_eigh,
    namespace,
    to_device,
    to_numpy,
    writeable,
    zeros,
)
from streampca.moments.base import Moments
from streampca.moments.centre import CentredRows
from streampca.moments.definite import positive_definite
from streampca.moments.pairs import Pairs
from streampca.moments.precision import weighs_as_rows
from streampca.moments.scatter import Scatter
from streampca.moments.tally import NARROW, Tally
from streampca.moments.thin import ThinScatter

_DIRECTLY, _MORE = 400, 10
"""Features up to which leading eigenpairs come from LAPACK and not from steps, and how many more
for each pair: where both take about as long. A row and a reading from the last one, by steps with
their proof and by LAPACK, in ms, variances 1 / i: 1 pair of 400 features 5.5 and 5.0, of 500 7.4
and 9.3; 10 of 500 12.0 and 11.2, of 600 13.9 and 17.2; 30 of 700 37 and 30; 80 of 1,200 170 and
165."""

_DIRECTLY_THIN = 384
"""The same of rows that are kept as they are, where LAPACK gives all of the singular vectors."""

_SMALLEST, _LARGEST = 1e-150, 1e150
"""Numbers whose squares are inside float64, for matrices of a few million of them."""


class DenseMoments(Moments):
    """Scatter matrix summed in float64 over products in the dtype of the rows.

    Memory is 8 n**2 bytes, and the sum of the last minibatches while it waits; 8 r n for r rows
    that are fewer than n / 2, which are kept as they are. The answer does not depend on the order
    or the batching of the rows beyond rounding.

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
        # one of the two; on a device products cost nothing, and shapes do not change
        self._thin = ThinScatter.empty(n_features) if device is None else None
        self._sum: Scatter | None = None
        if device is not None:
            self._sum = Scatter(zeros((n_features, n_features), "float64", device))

    def begin_with(
        self, thin: ThinScatter, mean: NDArray[np.float64] | None, pairs: Pairs, n_rows: int
    ) -> None:
        """Have seen so many rows of weight 1, of this scatter and mean (n,); no mean is a zero."""
        self._thin, self._sum, self.pairs = thin, None, pairs
        self._mean = self._mean if mean is None else mean
        self.n_samples, self.n_copies, self.weight = n_rows, float(n_rows), float(n_rows)

    # --- in which of two ways -------------------------------------------------------------

    @property
    def _scatter(self) -> Array:
        """All of it, (n, n) float64, to be changed in place."""
        return self._turned_dense().whole

    @_scatter.setter
    def _scatter(self, value: Array) -> None:
        self._turned_dense().whole = value

    @property
    def _factor(self) -> Array:
        """The rows (r, n) that it is the scatter of, while they are few."""
        assert self._thin is not None
        return self._thin.Z

    @_factor.setter
    def _factor(self, value: Array) -> None:
        self._thin = ThinScatter.of(to_numpy(value))
        if self.device is not None or not self._thin.has_room_for(0):
            self._turned_dense()

    def _turned_dense(self) -> Scatter:
        """The matrix, made of the rows where they have been kept so far."""
        if self._sum is None:
            assert self._thin is not None
            self._sum = Scatter(to_device(self._thin.whole(), self.device))
        self._thin = None
        return self._sum

    @property
    def scatter(self) -> NDArray[np.float64]:
        """All of it, (n, n) on the host; a copy."""
        thin = self._thin
        return np.array(to_numpy(self._scatter)) if thin is None else thin.whole()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"_thin": None} | state)  # which the first had not
        if self._thin is not None:
            self._thin.Z = writeable(self._thin.Z)

    # --- what kinds implement ---------------------------------------------------------------

    def widened(self, places: NDArray[np.int64], mean: NDArray[np.float64]) -> DenseMoments:
        if self._thin is not None:
            factor = np.zeros((len(self._thin.Z), len(mean)))
            factor[:, places] = self._thin.Z
            return self._widened_with(places, mean, factor=factor)
        scatter = np.zeros((len(mean), len(mean)))
        scatter[np.ix_(places, places)] = to_numpy(self._scatter)
        return self._widened_with(places, mean, scatter=scatter)

    def _absorb(self, rows: CentredRows) -> None:
        if self._thin is not None and self._thin.has_room_for(rows.n_rows):
            self._thin = ThinScatter.of(self._thin.Z, rows.densified(0, rows.n_rows))
        else:
            rows.add_scatter(self._turned_dense())

    def tally(self, n_parts: int, spare: Tally | None = None) -> Tally | None:
        if self.device is not None or self.n_features >= NARROW or not weighs_as_rows(self.weight):
            return None
        if spare is None:
            return Tally(self, n_parts)
        spare.begin(self)
        return spare

    def add_tally(self, tally: Tally) -> None:
        m, mean = float(tally.n_rows), tally.mean
        products, about = tally.products()
        self._check_sum(self.weight + m, float(products.trace()))
        V = np.zeros((0, len(mean)))
        if self.center:
            between = self.between(mean, m)
            own = about * m**0.5
            V = np.stack([own] if between is None else [own, between])
        self._turned_dense().add_products(products, np.concatenate([-V[:1], V[1:]]), V)
        self._join(mean - self._mean if self.center else None, m, Pairs.of_equal(m))
        self.n_samples += tally.n_rows
        self.n_copies += m

    def _merge_second(self, other: Self, between: Array) -> None:
        if other._thin is None:
            S = self._scatter
            S += to_device(other._scatter, self.device)
            S += between[:, None] * between
            return
        Z = np.concatenate([other._thin.Z, to_numpy(between)[None]])
        if self._thin is not None and self._thin.has_room_for(len(Z)):
            self._thin = ThinScatter.of(self._thin.Z, Z)
        else:
            self._scatter += to_device(ThinScatter(Z).whole(), self.device)

    def _scale_second(self, factor: float) -> None:
        if self._thin is not None:
            self._thin = self._thin.scaled(factor)
        else:
            self._turned_dense().scale(factor)

    def settle(self, change: AbstractContextManager[None]) -> None:
        if self._sum is not None and not self._sum.is_settled:
            with change:
                _ = self._sum.whole

    def _product(self, V: Array) -> Array:
        V = cast(V, "float64")
        if self._thin is not None:
            return self._thin.product(V)
        # symmetric: thin products on this side take 4/5 of the time of those on the other
        return (V.T @ self._scatter).T

    @property
    def _scatter_diagonal(self) -> Array:
        return self._turned_dense().diagonal if self._thin is None else self._thin.diagonal

    def rescaled(self, scale: NDArray[np.float64]) -> Self:
        """These moments of rows whose features are divided by `scale` (n,).

        A feature divided by its own standard deviation has variance 1, to the last bit.
        """
        by, varies = to_device(scale, self.device), self._varies()
        whole = self._scatter if self._thin is None else self._thin.whole()
        S = whole / by[:, None]  # one side first: two scales' product may leave float64
        S /= by
        S *= varies  # what rounding left of a constant feature is no part of others'
        S *= varies[:, None]
        own = to_device(scale == self.scale, self.device) & (varies > 0)
        xp: Any = namespace(S)
        kept = xp.diagonal(S)
        diagonal = xp.where(own, cast(own, "float64") * self.denominator, kept)
        if xp is np:
            S[np.diag_indices(self.n_features)] = diagonal
        else:
            kept.copy_(diagonal)
        made = copy.copy(self)
        made._mean, made._sum, made._scratch = self._mean / by, Scatter(S), None
        made._thin = None
        return made

    def _varies(self) -> Array:
        """1 for features that vary and 0 for the others, (n,) float64."""
        return to_device((~self.constant).astype("float64"), self.device)

    def leading(self, k: int) -> tuple[Array, Array]:
        if self._thin is not None:
            values, vectors = self._thin.leading(k)
        else:
            found = leading_eigh(self._scatter, k) if self.device is None else None
            values, vectors = found or eigh_descending(self._scatter)
        return vectors[:, :k], values[:k] / self.denominator

    def operations(self, m: int) -> float:
        return float(m) * self.n_features**2

    def solves_directly(self, k: int) -> bool:
        # with k above n / 6 a few warm steps cost as much as a full eigendecomposition
        if self._thin is not None:
            size, most = len(self._thin.Z), _DIRECTLY_THIN
        else:
            size = self.n_features
            most = _DIRECTLY + _MORE * k if self.device is None else _DIRECTLY
        return size <= most or 6 * k > size

    @property
    def norm(self) -> float:
        # squares of squares leave float64 where rows are beyond 1e75
        trace = self.total_variance * self.denominator
        fits = _SMALLEST < trace < _LARGEST
        unit = 1.0 if fits else trace or 1.0
        if self._thin is not None:
            norm = self._thin.scaled(1.0 / unit).norm()
        else:
            norm = frobenius(self._scatter if fits else self._scatter / unit)
        return norm / self.denominator * unit

    def misses(self, A: Array, eigenvalues: Array, tolerance: float) -> bool:
        # Cholesky succeeds only where mu I - (Sigma - A diag(lambda) A') is positive definite,
        # that is where no eigenvalue outside A exceeds mu: n**3 / 3 operations for a proof that
        # a full eigendecomposition would give for about ten times as many
        xp: Any = namespace(A)
        mu = eigenvalues[-1] + tolerance * eigenvalues[0]
        if self._thin is not None:
            M = -self._thin.left_of(A)
        else:
            M = (A * (eigenvalues * self.denominator)) @ A.T
            M -= self._scatter
        if xp is np:
            M[np.diag_indices(len(M))] += mu * self.denominator
            return not positive_definite(M)
        xp.diagonal(M).add_(mu * self.denominator)
        return bool(xp.linalg.cholesky_ex(M).info)

    # --- state ------------------------------------------------------------------------------

    @property
    def _stored_names(self) -> tuple[str, ...]:
        return ("scatter",) if self._thin is None else ("factor",)

    @classmethod
    def _names_in(cls, state: Mapping[str, Any]) -> tuple[str, ...]:
        return ("factor",) if "factor" in state and "scatter" not in state else ("scatter",)

    @classmethod
    def _empty_like(cls, state: Mapping[str, Any], device: str | None) -> Self:
        # on the host at first: rows become a matrix where they are to lie
        self = super()._empty_like(state, device)
        factor = np.asarray(state.get("factor", 0.0))
        if "scatter" not in state and factor.ndim == 2:
            self._thin, self._sum = ThinScatter(np.zeros((len(factor), self.n_features))), None
        return self
