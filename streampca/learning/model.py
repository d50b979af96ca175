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

from streampca.arrays import Array, beside_passes, cast, dtype_name, namespace, to_device, to_numpy
from streampca.learning.filling import MOST_NUMBERS, Filling, has_gaps

Float64 = NDArray[np.float64]

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
    scale: Float64 | None = None  # (n,) divides centred features; all but the mean is in its units
    effective_rows: float | None = None  # equal rows that say as much

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
    def _placed(self) -> dict[tuple[str, str | None], tuple[Array, Array, Array | None]]:
        return {}

    def _on(self, like: Array) -> tuple[Array, Array, Array | None]:
        """Components, mean and scale in the dtype and on the device of `like`, kept."""
        device = None if namespace(like) is np else str(like.device)
        key = (dtype_name(like), device)
        if key not in self._placed:
            arrays = (self.components, self.mean, self.scale)
            placed = [a if a is None else to_device(a.astype(key[0]), device) for a in arrays]
            self._placed[key] = placed[0], placed[1], placed[2]
        return self._placed[key]

    def coordinates(self, X: Array) -> Array:
        """(X - mean) @ components' without changing X; sparse rows stay sparse."""
        if hasattr(X, "tocsr"):
            axes = self.components if self.scale is None else self.components / self.scale
            axes, mean = axes.astype(X.dtype), self.mean.astype(X.dtype)
            return np.asarray(X @ axes.T) - mean @ axes.T
        components, mean, scale = self._on(X)
        centred = X - mean
        with beside_passes(len(components)):
            return (centred if scale is None else centred / scale) @ components.T

    def reconstruct(self, Z: Array) -> Array:
        """Z @ components + mean."""
        components, mean, scale = self._on(Z)
        rows = Z @ components
        return (rows if scale is None else rows * scale) + mean

    def centred(self, X: NDArray[Any]) -> Float64:
        """Rows (m, n) less the mean, in units of the scale, float64."""
        D = X.astype("float64") - self.mean
        if self.scale is not None:
            D /= self.scale
        return np.asarray(D)

    @cached_property
    def _place(self) -> Float64:
        """The mean (n,) in units of the scale."""
        return self.mean if self.scale is None else self.mean / self.scale

    @property
    def _floor(self) -> float:
        """Variances up to here are rounding: beside the first, or of entries of the mean's size."""
        eps, largest = float(np.finfo(self.components.dtype).eps), float(np.abs(self._place).max())
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
        if self.scale is not None:
            covariance = covariance * self.scale[:, None] * self.scale
        return np.asarray(covariance)

    def precision(self) -> Float64:
        """Inverse of `covariance`, or pseudo-inverse, by its eigenpairs: no system is solved."""
        C, variances = self._span
        noise = self._invertible_noise
        if self.scale is not None and noise <= 0 and len(C) < C.shape[1]:
            Q, R = self._span_of_rows  # the pseudo-inverse of Q R diag(variances) R' Q'
            inverse = np.linalg.solve(R, Q.T)
            return np.asarray((inverse.T / variances) @ inverse)
        rest = 1.0 / noise if noise > 0 else 0.0  # singular: nothing outside the components
        precision = (C.T * (1.0 / variances - rest)) @ C
        precision[np.diag_indices_from(precision)] += rest
        if self.scale is not None:
            precision = precision / self.scale[:, None] / self.scale
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

    @cached_property
    def _span_of_rows(self) -> tuple[Float64, Float64]:
        """Orthonormal Q (n, r) and R (r, r) whose product spans rows that are not scaled."""
        scale = np.ones(self.components.shape[1]) if self.scale is None else self.scale
        order = np.argsort(-scale)  # large rows first: small ones keep their digits
        Q, R = np.linalg.qr((self._span[0] * scale)[:, order].T)
        return np.asarray(Q[np.argsort(order)]), np.asarray(R)

    @property
    def _log_volume(self) -> float:
        """Log of how many times larger a volume is in the units of the rows than in the scale's."""
        if self.scale is None:
            return 0.0
        if self._invertible_noise > 0 or len(self._span[0]) == len(self.scale):
            return float(np.log(self.scale).sum())
        return float(np.log(np.abs(np.diag(self._span_of_rows[1]))).sum())

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
            rows = max(1, MOST_NUMBERS // n)
            pieces = (X[start : start + rows].toarray() for start in range(0, X.shape[0], rows))
            return np.concatenate([np.zeros(0), *map(self.log_likelihood, pieces)])
        D = self.centred(to_numpy(X))  # (m, n)
        Z = D @ C.T
        E = D - Z @ C  # explicitly: the difference of squared lengths loses the small ones
        log_det = float(np.log(variances).sum()) + 2.0 * self._log_volume
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
        sizes = np.linalg.norm(D, axis=1) + float(np.linalg.norm(self._place))
        return np.asarray(one_row + (8 * eps * sizes) ** 2)

    # --- gaps ---------------------------------------------------------------------------------

    @cached_property
    def filling(self) -> Filling:
        """What is expected of a row given some of its entries."""
        largest = float(self.eigenvalues[0])
        C = self.components.astype("float64")
        # what rounding left of a feature that did not vary counts beside next to no noise
        C[np.abs(C) <= 4 * np.finfo(self.components.dtype).eps] = 0.0
        if largest <= 0:  # where nothing varies all is noise
            return Filling(C[:0], np.zeros(0), 1.0)
        least, eigenvalues = self._positive()
        noise, variances = least / largest, (eigenvalues - least) / largest
        # a direction that varies by no more than noise says nothing, wherever rounding turned it
        shown = variances > np.finfo("float64").eps
        return Filling(C[shown], variances[shown], noise)

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
        filled = np.array(X)
        rows = np.flatnonzero(np.isnan(filled).any(axis=1))
        D = self.centred(filled[rows])
        expected = self.filling.rest(D)
        if self.scale is not None:
            expected *= self.scale
        filled[rows] = np.where(np.isnan(D), self.mean + expected, filled[rows])
        return filled


def cast_components(A: Float64, dtype: str) -> NDArray[Any]:
    """Columns of A (n, p) as components (p, n) in the dtype of the rows."""
    return np.ascontiguousarray(cast(A.T, dtype))
