"""How far rows are from a model: SPE and T^2, and each feature's part in them. Knows no limits."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import is_tensor, to_numpy
from streampca.monitor.gaps import Gaps
from streampca.monitor.kept import components_to_keep
from streampca.monitor.spectrum import covariance_of, known_variances
from streampca.monitor.statistics import Statistics
from streampca.rows import read_rows

Float64 = NDArray[np.float64]


class Distances:
    """The statistics that a `Monitor` computes of rows."""

    def __init__(self, model: Any, *, n_components: int | float | str | None = None) -> None:
        fitted: Any = model.checkpoint() if hasattr(model, "checkpoint") else model
        if not hasattr(fitted, "explained_variance"):
            raise TypeError(f"give an estimator or a Checkpoint, not {type(model).__name__}")
        k = self.n_components = components_to_keep(fitted, n_components)
        self._fitted = fitted
        self._mean = np.asarray(fitted.mean, dtype="float64")
        self.statistics = Statistics(
            fitted.components[:k], fitted.explained_variance[:k], fitted.total_variance
        )

    @property
    def n_features(self) -> int:
        """Of a row."""
        return len(self._mean)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the features, where the model has them."""
        names: tuple[str, ...] | None = self._fitted.feature_names
        return names

    # --- rows --------------------------------------------------------------------------------

    def scores(self, X: Any) -> Float64:
        """Coordinates of each row along the components that have variance, (m, p)."""
        D = self.centred(X)
        if np.isnan(D).any():
            D = np.where(np.isnan(D), self._gaps.expected(D), D)
        return self.statistics.split(D)[0]

    def spe(self, X: Any) -> Float64:
        """Squared prediction error of each row, (m,)."""
        return self.both(self.centred(X))[0]

    def t2(self, X: Any) -> Float64:
        """Hotelling's T^2 of each row, (m,)."""
        return self.both(self.centred(X))[1]

    def combined(self, X: Any) -> Float64:
        """SPE / E[SPE] + T^2 / p of each row, (m,): 2 on average over the rows learned from."""
        spe, t2 = self.both(self.centred(X))
        return np.array([self.statistics.combine(*each) for each in zip(spe, t2, strict=True)])

    def both(self, D: Float64) -> tuple[Float64, Float64]:
        """SPE and T^2 (m,) of centred rows (m, n); of those with gaps as `Gaps` tells them."""
        spe, t2 = self.statistics.both(D)
        rows = np.isnan(D).any(axis=1)
        if rows.any():
            spe[rows], t2[rows] = self._gaps.both(D[rows])
        return spe, t2

    def parts(self, D: Float64, *, of_spe: bool) -> Float64:
        """Part of each feature (m, n) in SPE or T^2 of centred rows."""
        of = self.statistics
        Z, E = of.split(D)
        parts = E * E if of_spe else D * ((Z / of.variances) @ of.components)
        rows = np.isnan(D).any(axis=1)
        if rows.any():
            parts[rows] = self._gaps.parts(D[rows], of_spe=of_spe)
        return parts

    @cached_property
    def _gaps(self) -> Gaps:
        return Gaps(self.statistics, self.left_out, covariance_of(self._fitted))

    def spe_contributions(self, X: Any) -> Float64:
        """Part of each feature in SPE, (m, n): squared rests; they add up to SPE."""
        return self.parts(self.centred(X), of_spe=True)

    def t2_contributions(self, X: Any) -> Float64:
        """Part of each feature in T^2, (m, n); they add up to T^2, and some may be negative.

        d_j sum_i z_i c_ij / lambda_i for a row d less the mean (Nomikos and MacGregor 1995).
        """
        return self.parts(self.centred(X), of_spe=False)

    def centred(self, X: Any) -> Float64:
        """Checked rows (m, n) less the mean, in units of the model's scale."""
        settings = getattr(self._fitted, "settings", {})
        read = read_rows(
            X,
            feature_names=self._fitted.feature_names,
            n_features=len(self._mean),
            allow_missing=settings.get("missing") == "impute",
        )
        rows = to_numpy(read.values) if is_tensor(read.values) else read.values
        if hasattr(rows, "toarray"):
            rows = rows.toarray()
        D: Float64 = rows.astype("float64") - self._mean
        return D if self._fitted.scale is None else D / self._fitted.scale

    @cached_property
    def left_out(self) -> Float64:
        """Variances along the directions that are no components, largest first.

        Exact from dense moments. Factored ones know the next directions, and a model without
        moments those of its own that are not used; what remains is spread evenly over the rest.
        """
        fitted, p = self._fitted, self.statistics.n_kept
        known = np.maximum(np.asarray(fitted.explained_variance, "float64")[p:], 0.0)
        variances = known_variances(fitted)
        if variances is not None:
            known = variances[p:]
        rest = len(self._mean) - p - len(known)
        missing = self.statistics.expected_spe - float(known.sum())
        return np.concatenate([known, np.full(rest, max(missing, 0.0) / max(rest, 1))])
