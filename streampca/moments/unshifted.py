"""Dense rows centred in products, not one by one: X V - 1 (mean' V) instead of (X - 1 mean') V.

Two passes over memory less, which at 10 components is a quarter of all that is done. In exchange
rounding errors are those of numbers of the size of the mean; so it is for features whose mean is
of the size of their spread, and all others go the explicit way (rows.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from streampca.arrays import Array, column_squares, dtype_name
from streampca.moments.pairs import Pairs
from streampca.moments.parts import parts, signed_sums
from streampca.moments.scatter import Scatter

if TYPE_CHECKING:
    from streampca.moments.base import Moments

_NEAR = 2.0
"""Standard deviations that a mean may be away from zero, and a minibatch's from the stream's:
products are then at most (1 + 4**2)**0.5 times as large as centred ones, two of 24 bits."""

_SAFE = 1e30
"""A sum of squares below which a bound that is several times too large refuses nothing."""

_FEW = 64
"""Features that are looked at in the minibatch alone, at most."""


class Unformed:
    """Z made of rows X and, where there is one, the row that joins them to those before."""

    X: Any  # (m, n)
    between: Any  # (n,) or None

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0]) + (self.between is not None)

    @property
    def dtype(self) -> str:
        return dtype_name(self.X)


@dataclass
class UnshiftedRows(Unformed):
    """Z = [X - 1 mean'; between], never formed."""

    weight: float
    pairs: Pairs
    mean: Array  # (n,) the minibatch's own, zero where rows are not centred
    X: Array  # (m, n)
    between: Array | None  # (n,) float64

    @cached_property
    def about_zero(self) -> Array:
        """Sums of squares of X, (n,)."""
        return column_squares(self.X)

    @cached_property
    def squares(self) -> Array:
        squares = np.maximum(self.about_zero - self.weight * self.mean**2, 0.0)
        return squares if self.between is None else squares + self.between**2

    @cached_property
    def total_squares(self) -> float:
        if "about_zero" in self.__dict__:
            return float(self.squares.sum())
        return float(np.vdot(self.X, self.X)) - self.weight * float(self.mean @ self.mean)

    @cached_property
    def _corrections(self) -> Array:
        """The mean and `between`: (2, n) or (1, n) in the dtype of the rows."""
        vectors = [self.mean] if self.between is None else [self.mean, self.between]
        return np.array(vectors, self.X.dtype)

    def project(self, V: Array) -> Array:
        m = self.X.shape[0]
        H = np.empty((self.n_rows, V.shape[1]), np.result_type(self.X, V))
        np.matmul(self.X, V, out=H[:m])
        corrections = self._corrections @ V
        H[:m] -= corrections[0]
        H[m:] = corrections[1:]
        return H

    def combine(self, H: Array) -> Array:
        m = self.X.shape[0]
        G = self.X.T @ H[:m]
        sums = np.concatenate([-np.ones(m, H.dtype)[None] @ H[:m], H[m:]])
        G += self._corrections.T @ sums
        return G

    def combined(self, signs: Array, count: int) -> Array:
        m = self.X.shape[0]
        sums, totals = signed_sums(signs[:m], self.X, parts(self.n_rows, count))
        sums -= np.outer(self._corrections[0], totals)
        if self.between is not None:
            sums[:, -1] += self._corrections[1] * signs[m]
        return sums

    def add_scatter(self, S: Scatter) -> None:
        C = self._corrections.copy()
        C[0] *= self.weight**0.5
        signed = C.copy()
        signed[0] *= -1.0  # not -weight in one of the two: the answer is symmetric to the bit
        S.add_rows(self.X, signed, C)

    def densified(self, start: int, stop: int) -> Array:
        m = self.X.shape[0]
        Z = self.X[start : min(stop, m)] - self._corrections[0]
        if stop > m and self.between is not None:
            Z = np.concatenate([Z, self._corrections[1:]])
        return Z


def unshifted(X: Array, about: Moments, squares: Array | None = None) -> UnshiftedRows | None:
    """Rows (m, n) without weights, joined to what `about` has seen; None where means are large.

    `squares` are what is known of sums of squares, as in `Moments.update`.
    """
    m = float(X.shape[0])
    if about.center:
        mean = (np.ones(X.shape[0], X.dtype) @ X).astype("float64") / m
    else:
        mean = np.zeros(X.shape[1])
    rows = UnshiftedRows(m, Pairs.of_equal(m), mean, X, None)
    if squares is not None and squares.ndim:
        rows.about_zero = squares
    elif squares is not None and squares < _SAFE:  # for what their sum is asked for, a bound does
        rows.total_squares = float(squares)
    if not about.center:
        return rows
    if about.weight == 0:
        return rows if near(mean, rows.about_zero / m).all() else None
    step = mean - about._mean
    reach = _NEAR**2 * about._scatter_diagonal / about.denominator
    far = np.flatnonzero((mean**2 > reach) | (step**2 > reach))
    if far.size > _FEW:
        return None
    if about.keeps_squares:
        _ = rows.about_zero  # before their sum is asked for: one pass for both
    if far.size:  # features that were silent so far
        squares = rows.about_zero[far] if about.keeps_squares else column_squares(X[:, far])
        if not near(mean[far], squares / m).all():
            return None
    rows.between = step * (about.weight * m / (about.weight + m)) ** 0.5
    return rows


def near(mean: Array, mean_square: Array) -> Array:
    """Whether means are near zero by the spread of the rows themselves, for each feature."""
    return mean**2 <= _NEAR**2 * (mean_square - mean**2)
