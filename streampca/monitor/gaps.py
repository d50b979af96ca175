"""SPE and T^2 of rows with gaps: those of the part that was observed, told on the scale of all.

A row of which k features were observed has an SPE of fewer directions and a T^2 of no more than k,
so limits of complete rows are not for it. What is told instead is the SPE, and the T^2, that a
complete row which is just as unusual has: every limit, running mean and chart holds as it stands.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from streampca.learning import Filling
from streampca.monitor.statistics import Statistics

Float64 = NDArray[np.float64]

_CUT = 1e-6
"""Singular values of the observed loadings up to here are rounding: what a component has there is
counted to what is left out. Any cut gives right limits, since both statistics know it."""

_PATTERNS = 1000


@dataclasses.dataclass(frozen=True)
class _Spread:
    """A statistic as theta1 / h times chi-square(h)."""

    mean: float  # theta1
    freedom: float  # h

    def score(self, values: Float64) -> Float64:
        """Normal scores of values (Wilson and Hilferty 1931)."""
        ninth = 2.0 / (9.0 * self.freedom)
        return np.asarray((np.cbrt(values / self.mean) - (1.0 - ninth)) / np.sqrt(ninth))

    def value(self, scores: Float64) -> Float64:
        """Values with these normal scores."""
        ninth = 2.0 / (9.0 * self.freedom)
        root = np.maximum(1.0 - ninth + scores * np.sqrt(ninth), 0.0)
        return np.asarray(self.mean * root**3)


@dataclasses.dataclass(frozen=True)
class _Pattern:
    """The projection and the distributions of SPE and T^2 for rows with the same gaps."""

    seen: NDArray[np.intp]  # (k,)
    basis: Float64  # (k, r) orthonormal, what the components span of the observed features
    precision: Float64  # (r, r) inverse covariance of coordinates in it
    spe: _Spread | None  # None where nothing is left out of the observed part
    t2: _Spread | None


class Gaps:
    """SPE, T^2 and contributions of centred rows with gaps.

    Parameters
    ----------
    statistics : Statistics
        Of complete rows.
    left_out : ndarray of shape (n - p,)
        Variances along the directions that are no components.
    covariance : ndarray of shape (n, n), optional
        Of the rows; without, what is left out is taken to be alike in all directions.
    """

    def __init__(
        self, statistics: Statistics, left_out: Float64, covariance: Float64 | None = None
    ) -> None:
        C = statistics.components
        noise = self._noise = float(left_out.mean()) if len(left_out) else 0.0
        self._variances = statistics.variances
        if covariance is None:
            covariance = (C.T * (statistics.variances - noise)) @ C
            covariance[np.diag_indices_from(covariance)] += noise
        self._C, self._covariance = C, covariance
        self._all_spe = _spread(left_out)
        self._all_t2 = _Spread(float(len(C)), float(len(C))) if len(C) else None
        self._of = functools.lru_cache(_PATTERNS)(self._pattern)

    def _pattern(self, key: bytes) -> _Pattern:
        seen = np.flatnonzero(np.frombuffer(key, bool))
        U, lengths, _ = np.linalg.svd(self._C[:, seen].T, full_matrices=False)
        Q = U[:, lengths > _CUT]
        S = self._covariance[np.ix_(seen, seen)]
        left = S - Q @ (Q.T @ S)
        left -= (left @ Q) @ Q.T
        values = np.linalg.eigvalsh((left + left.T) / 2)
        rest = len(seen) - Q.shape[1]
        precision = np.linalg.pinv(Q.T @ S @ Q, hermitian=True)
        r = Q.shape[1]
        spe = _spread(np.maximum(values[len(values) - rest :], 0.0)) if rest else None
        return _Pattern(seen, Q, precision, spe, _Spread(float(r), float(r)) if r else None)

    def expected(self, D: Float64) -> Float64:
        """The expected values of all entries (m, n), given the observed ones."""
        variances, tiny = self._variances, float(np.finfo("float64").eps)
        largest = float(variances[0]) if len(variances) else 1.0
        beyond = np.maximum(variances - self._noise, tiny * largest)
        return Filling(self._C, beyond / largest, max(self._noise / largest, tiny)).rest(D)

    def both(self, D: Float64) -> tuple[Float64, Float64]:
        """SPE and T^2 (m,) each of rows (m, n) with NaN for gaps; NaN where nothing can be said."""
        spe, t2 = np.full((2, len(D)), np.nan)
        for rows, pattern in self._groups(D):
            y, E = _split(pattern, D[rows])
            raw = np.einsum("ij,ij->i", E, E)
            spe[rows] = _told(raw, pattern.spe, self._all_spe)
            t2[rows] = _told(((y @ pattern.precision) * y).sum(axis=1), pattern.t2, self._all_t2)
        return spe, t2

    def parts(self, D: Float64, *, of_spe: bool) -> Float64:
        """Part of each feature (m, n) in what `both` says, which they add up to; 0 in gaps."""
        totals = self.both(D)[0 if of_spe else 1]
        parts = np.zeros_like(D)
        for rows, pattern in self._groups(D):
            y, E = _split(pattern, D[rows])
            own = (
                E * E
                if of_spe
                else D[np.ix_(rows, pattern.seen)] * ((y @ pattern.precision) @ pattern.basis.T)
            )
            sums = own.sum(axis=1)
            factor = np.divide(totals[rows], sums, out=np.zeros_like(sums), where=sums > 0)
            parts[np.ix_(rows, pattern.seen)] = own * np.nan_to_num(factor)[:, None]
        return parts

    def _groups(self, D: Float64) -> list[tuple[NDArray[np.intp], _Pattern]]:
        seen = ~np.isnan(D)
        patterns, which = np.unique(seen, axis=0, return_inverse=True)
        which = which.reshape(-1)
        return [
            (np.flatnonzero(which == i), self._of(pattern.tobytes()))
            for i, pattern in enumerate(patterns)
            if pattern.any()
        ]


def _spread(variances: Float64) -> _Spread | None:
    theta1, theta2 = float(variances.sum()), float((variances**2).sum())
    return _Spread(theta1, theta1**2 / theta2) if theta2 > 0 else None


def _split(pattern: _Pattern, D: Float64) -> tuple[Float64, Float64]:
    """Coordinates in the basis (m, r), and what is left of the observed part (m, k)."""
    seen = D[:, pattern.seen]
    y = seen @ pattern.basis
    return y, seen - y @ pattern.basis.T


def _told(values: Float64, own: _Spread | None, of_all: _Spread | None) -> Float64:
    """Values of complete rows that are as unusual."""
    if own is None or of_all is None:
        return np.full(len(values), np.nan)
    return of_all.value(own.score(values))
