"""A solved model: what a reader of the components needs, and probabilistic PCA on top of it.

Immutable, so that it may be read while another minibatch is learned, cached, and checkpointed.
It knows nothing of how it was remembered or solved.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, cast, dtype_name, namespace, to_device, to_numpy

Float64 = NDArray[np.float64]

_FEW_ROWS = 4
"""Fewer rows with gaps are filled one by one: preparing the product for all costs more."""

_MOST_NUMBERS = 2**21
"""Numbers in a temporary array while gaps are filled, or sparse rows made dense: 16 MB."""


_LEAST = 2 * float(np.finfo("float64").tiny)
"""Variances up to here have no inverse that is well inside float64: rows are of some 1e-154."""


@dataclass(frozen=True)
class Model:
    """Ordered components with everything that is read off them."""

    mean: Float64  # (n,)
    components: NDArray[Any]  # (p, n) in the dtype of the rows
    eigenvalues: Float64  # (p,) explained variances
    total_variance: float
    n_samples: int
    weight: float
    denominator: float
    decoder: NDArray[Any]  # (n, p) A
    encoder: NDArray[Any]  # (p, n) B
    loss: float
    residuals: Float64  # (p,)
    discarded_variance: float
    n_copies: float  # rows, one of weight 3 three times

    @property
    def axes(self) -> NDArray[Any]:
        """Directions (p, n) whose signs the next model keeps."""
        return self.components

    @property
    def noise_variance(self) -> float:
        """Mean of the eigenvalues that were left out (Tipping & Bishop 1999, Eq. 8)."""
        p, n = self.components.shape
        left_out = min(n, self.n_copies) - p
        if left_out <= 0:
            return 0.0
        missing = self.total_variance - float(self.eigenvalues.sum())
        return missing / left_out if missing > self._rounding else 0.0

    @property
    def _rounding(self) -> float:
        """Up to here, what the eigenvalues leave of the total variance is rounding.

        The total is a sum of n variances, the eigenvalue solver is off by eps in each of p values,
        in float64, and an eigenvalue of up to n eps of the first counts as zero. A variance is a
        sum of m terms, of which errors are as likely above as below: 4 m^(1/2) eps. Products of
        rows in float32 are known to a few of its own eps: of rows of rank p whose numbers are
        exact, up to 1.5 were seen.
        """
        p, n = self.components.shape
        double, own = (float(np.finfo(d).eps) for d in ("float64", self.components.dtype))
        steps = n + p + 4 * float(np.sqrt(max(self.n_samples, 0)))
        cut = n * double * float((self.eigenvalues <= 0).sum()) * float(self.eigenvalues[0])
        return float((steps * double + 4 * own) * self.total_variance + cut)

    @property
    def ratio(self) -> Float64:
        """Explained variance over total variance; 0 where there is no variance at all."""
        if self.total_variance <= 0:
            return np.zeros_like(self.eigenvalues)
        return self.eigenvalues / self.total_variance

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: vars(self)[field.name] for field in fields(self)}  # no caches

    # --- rows <-> coordinates -----------------------------------------------------------------

    @cached_property
    def _placed(self) -> dict[tuple[str, str | None], tuple[Array, Array]]:
        return {}

    def _on(self, like: Array) -> tuple[Array, Array]:
        """Components and mean @ components' in the dtype and on the device of `like`, kept."""
        device = None if namespace(like) is np else str(like.device)
        key = (dtype_name(like), device)
        if key not in self._placed:
            components = to_device(self.components.astype(key[0]), device)
            self._placed[key] = components, to_device(self.mean.astype(key[0]), device)
        return self._placed[key]

    def coordinates(self, X: Array) -> Array:
        """(X - mean) @ components' without changing X; sparse rows stay sparse."""
        if hasattr(X, "tocsr"):
            like: Array = np.empty(0, X.dtype)
            components, mean = self._on(like)
            return np.asarray(X @ components.T) - mean @ components.T
        components, mean = self._on(X)
        return (X - mean) @ components.T

    def reconstruct(self, Z: Array) -> Array:
        """Z @ components + mean."""
        components, mean = self._on(Z)
        return Z @ components + mean

    @property
    def _floor(self) -> float:
        """Variances up to here are rounding: beside the first, or of entries of the mean's size."""
        eps, largest = float(np.finfo(self.components.dtype).eps), float(np.abs(self.mean).max())
        steps = eps * largest  # between numbers of the rows: a variance of steps^2 / 12
        moved = 4 * float(np.finfo("float64").eps) * largest  # by rounding, the mean itself
        return max(8 * eps * float(self.eigenvalues[0]), steps * steps / 12, moved * moved)

    def scales(self, like: Array) -> Array:
        """1 / standard deviation of each coordinate; 0 for directions without variance."""
        # its root must be finite in the type of the coordinates, too
        least = 1e-70 if dtype_name(like) == "float32" else 0.0
        shown = self.eigenvalues > max(self._floor, least)
        scales = np.where(shown, np.where(shown, self.eigenvalues, 1.0) ** -0.5, 0.0)
        device = None if namespace(like) is np else str(like.device)
        return to_device(scales.astype(dtype_name(like)), device)

    # --- the Gaussian model of probabilistic PCA ------------------------------------------------

    def covariance(self) -> Float64:
        """The (n, n) covariance C' diag(eigenvalues - noise) C + noise I."""
        C = self.components.astype("float64")
        noise = self.noise_variance
        covariance = (C.T * np.maximum(self.eigenvalues - noise, 0.0)) @ C
        covariance[np.diag_indices_from(covariance)] += noise
        return np.asarray(covariance)

    def precision(self) -> Float64:
        """Inverse of `covariance`, or pseudo-inverse, by its eigenpairs: no system is solved."""
        C, variances = self._span
        noise = self._invertible_noise
        rest = 1.0 / noise if noise > 0 else 0.0  # singular: nothing outside the components
        precision = (C.T * (1.0 / variances - rest)) @ C
        precision[np.diag_indices_from(precision)] += rest
        return np.asarray(precision)

    @property
    def _invertible_noise(self) -> float:
        """Noise variance, 0 where its inverse is no number."""
        noise = self.noise_variance
        return noise if noise > _LEAST else 0.0

    @cached_property
    def _span(self) -> tuple[Float64, Float64]:
        """Components (r, n) with more than rounding along them, and variances (r,) of the model."""
        noise = self._invertible_noise
        variances = np.maximum(self.eigenvalues, noise)
        shown = variances > (0.0 if noise > 0 else max(self._floor, _LEAST))
        return self.components[shown].astype("float64"), variances[shown]

    def _positive(self) -> tuple[float, Float64]:
        """Noise variance and eigenvalues, each at least as large as rounding leaves them."""
        n = self.components.shape[1]
        double = np.finfo("float64")
        floor = n * float(double.eps) * max(float(self.eigenvalues[0]), float(double.tiny))
        noise = max(self.noise_variance, floor)
        return noise, np.maximum(self.eigenvalues, noise)

    def log_likelihood(self, X: Array) -> Float64:
        """Log-density of each row under the Gaussian model, (m,); O(m n p).

        Where the covariance is singular, the density is that within the span of the components that
        vary, and rows outside have none: minus infinity.
        """
        C, variances = self._span
        r, n = C.shape
        noise = self._invertible_noise
        if hasattr(X, "tocsr"):  # dense in pieces only
            rows = max(1, _MOST_NUMBERS // n)
            pieces = (X[start : start + rows].toarray() for start in range(0, X.shape[0], rows))
            return np.concatenate([np.zeros(0), *map(self.log_likelihood, pieces)])
        D = to_numpy(X).astype("float64") - self.mean  # (m, n)
        Z = D @ C.T
        E = D - Z @ C  # explicitly: the difference of squared lengths loses the small ones
        log_det = float(np.log(variances).sum())
        with np.errstate(over="ignore"):
            rest, quadratic = np.einsum("ij,ij->i", E, E), (Z * Z / variances).sum(axis=1)
            if noise > 0:
                quadratic = quadratic + rest / noise
                log_det += (n - r) * float(np.log(noise))
                r = n
            else:
                quadratic = np.where(rest <= self._reach(D), quadratic, np.inf)
        return np.asarray(-0.5 * (r * np.log(2 * np.pi) + log_det + quadratic))

    def _reach(self, D: Float64) -> Float64:
        """Squared distance from the span up to which rows less the mean (m, n) may lie in it.

        What was left out is at most `_rounding`, and what is below `_floor`; of that sum, one of m
        rows may have all. Beyond a thousand rows none was so far out. And entries have rounding of
        their own.
        """
        eps = float(np.finfo(self.components.dtype).eps)
        hidden = self.eigenvalues <= max(self._floor, _LEAST)
        in_noise = float(self.eigenvalues[hidden].sum()) + D.shape[1] * _LEAST
        one_row = min(max(self.n_samples, 1), 1000) * (self._rounding + in_noise)
        sizes = np.linalg.norm(D, axis=1) + float(np.linalg.norm(self.mean))
        return np.asarray(one_row + (8 * eps * sizes) ** 2)

    def filled(self, X: Array) -> Array:
        """Rows (m, n) of any kind with their gaps filled; X itself where it has none."""
        if not has_gaps(X):
            return X
        filled = self.fill(to_numpy(X))
        return filled if namespace(X) is np else to_device(filled, str(X.device))

    def fill(self, X: NDArray[Any]) -> NDArray[Any]:
        """A copy of X (m, n) with each NaN replaced by its expectation given the row's own entries.

        The expectation of probabilistic PCA: a row's coordinates are the least-squares fit of its
        observed entries, regularised by what coordinates are without any, so that rows with
        fewer observed entries than components are defined too (none observed: the mean).
        """
        C, _, _ = self._regulariser
        filled = np.array(X)
        gaps = np.isnan(filled)
        for rows in self._together(np.flatnonzero(gaps.any(axis=1))):
            seen = ~gaps[rows]  # (k, n)
            z = self._coordinates_given(seen, np.where(seen, filled[rows] - self.mean, 0.0))
            filled[rows] = np.where(seen, filled[rows], self.mean + z @ C)
        return filled

    @cached_property
    def _regulariser(self) -> tuple[Float64, Float64, float]:
        """Components (p, n) in float64, variances of coordinates without noise (p,), the noise.

        Both in units of the largest: only ratios matter. Where nothing varies all is noise.
        """
        C = self.components.astype("float64")
        largest = float(self.eigenvalues[0])
        if largest <= 0:
            return C, np.full(len(C), np.finfo("float64").eps), 1.0
        noise, eigenvalues = (value / largest for value in self._positive())
        return C, np.maximum(eigenvalues - noise, np.finfo("float64").eps), float(noise)

    def _coordinates_given(self, seen: NDArray[np.bool_], D: Float64) -> Float64:
        """Expected coordinates (k, p) of rows less the mean, zero where not seen (k, n).

        Tipping & Bishop (1999), Eq. 12, for C' z with z of variances eigenvalues - noise.
        """
        C, variances, noise = self._regulariser
        p, n = C.shape
        z = np.empty((len(D), p))
        enough = seen.sum(axis=1) >= p
        if enough.any():
            if len(D) < _FEW_ROWS or n * p * p > _MOST_NUMBERS:
                M = np.stack([C[:, s] @ C[:, s].T for s in seen[enough]])
            else:  # all rows' C diag(seen) C' in one product
                M = (seen[enough] @ (C[:, None] * C).reshape(p * p, n).T).reshape(-1, p, p)
            right = (D[enough] @ C.T)[..., None]
            z[enough] = np.linalg.solve(M + np.diag(noise / variances), right)[..., 0]
        for i in np.flatnonzero(~enough):
            # with next to no noise M is singular there: the covariance of what was seen is not
            S = C[:, seen[i]]
            Sigma = (S.T * variances) @ S + noise * np.eye(S.shape[1])
            z[i] = variances * (S @ np.linalg.solve(Sigma, D[i, seen[i]]))
        return z

    def _together(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Rows in pieces whose p x p systems take no more memory than a few minibatches."""
        size = max(1, _MOST_NUMBERS // len(self.components) ** 2)
        return [rows[start : start + size] for start in range(0, len(rows), size)]


def has_gaps(X: Array) -> bool:
    """Whether an entry is NaN; sparse rows have none."""
    return not hasattr(X, "tocsr") and bool(namespace(X).isnan(X).any())


def cast_components(A: Float64, dtype: str) -> NDArray[Any]:
    """Columns of A (n, p) as components (p, n) in the dtype of the rows."""
    return np.ascontiguousarray(cast(A.T, dtype))
