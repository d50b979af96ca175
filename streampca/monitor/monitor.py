"""Rows against a model: SPE and T^2, their control limits, and each feature's contribution.

Imports no estimator: whatever has components, their variances and the total can be monitored.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import is_tensor, to_numpy
from streampca.monitor import limits
from streampca.monitor.assessment import Assessment, assess_centred, spe_parts, t2_parts
from streampca.monitor.gaps import Gaps
from streampca.monitor.kept import NO_REST, components_to_keep, leaves_a_rest
from streampca.monitor.quantiles import QuantileSketch, Smooth
from streampca.monitor.spectrum import covariance_of, known_variances
from streampca.monitor.statistics import Statistics
from streampca.rows import read_rows

__all__ = ["Assessment", "Monitor"]

Float64 = NDArray[np.float64]

_SPE_LIMITS = {
    "jackson-mudholkar": limits.jackson_mudholkar,
    "saddlepoint": limits.saddlepoint,
    "box": limits.box,
}


class Monitor:
    """SPE (Q) and Hotelling's T^2 of rows, their control limits, and each feature's contribution.

    SPE, the squared length of what the components leave of a row, rises when the relations
    between features break. T^2, the squared distance along the components in units of their
    standard deviations, rises when a row is unusual while the relations hold.

    Parameters
    ----------
    model : Checkpoint or StreamingPCA
        The model as it stands now; a monitor does not change when the model learns on.
    n_components : int, float, "parallel", "auto" or None, default=None
        How many of its components to use: so many, the share of the variance, by parallel analysis
        (those larger than what independent features give), or all. "auto" is all where they leave
        something for SPE, and parallel analysis where not.

    Raises
    ------
    ValueError
        Of SPE's limits, where the components leave nothing out.

    Notes
    -----
    Limits hold for Gaussian rows that were not learned from. Real rows often have heavier tails, or
    too few were learned from: give rows known to be normal to `calibrate`, and ask for
    ``method="empirical"``.

    References
    ----------
    J. E. Jackson and G. S. Mudholkar, Technometrics 21 (1979) 341-349; G. E. P. Box, Annals of
    Mathematical Statistics 25 (1954) 290-302; D. Kuonen, Biometrika 86 (1999) 929-935;
    P. Nomikos and J. F. MacGregor, Technometrics 37 (1995) 41-59.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(2000, 5))
    >>> monitor = Monitor(StreamingPCA(n_components=2).fit(X))
    >>> broken = X[0] + [0, 2, 0, 0, 0]  # one sensor has moved by itself
    >>> bool(monitor.spe([broken])[0] > monitor.spe_limit(0.99))
    True
    >>> int(monitor.spe_contributions([broken]).argmax())
    1
    """

    def __init__(self, model: Any, *, n_components: int | float | str | None = None) -> None:
        fitted: Any = model.checkpoint() if hasattr(model, "checkpoint") else model
        k = self.n_components = components_to_keep(fitted, n_components)
        self._fitted = fitted
        self._mean = np.asarray(fitted.mean, dtype="float64")
        self.statistics = Statistics(
            fitted.components[:k], fitted.explained_variance[:k], fitted.total_variance
        )
        self._normal_spe, self._normal_t2 = QuantileSketch(), QuantileSketch()
        self._normal_smooth: dict[float, Smooth] = {}

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
        parts = (spe_parts if of_spe else t2_parts)(self.statistics, D)
        rows = np.isnan(D).any(axis=1)
        if rows.any():
            parts[rows] = self._gaps.parts(D[rows], of_spe=of_spe)
        return parts

    @cached_property
    def _gaps(self) -> Gaps:
        return Gaps(self.statistics, self.left_out, covariance_of(self._fitted))

    def assess(self, X: Any, confidence: float = 0.99) -> Assessment:
        """SPE and T^2 of rows against their limits, and which feature is behind each.

        Limits are Jackson and Mudholkar's and F's. The feature is the one with the largest part
        in the statistic that is further beyond its limit.
        """
        return self._against(X, self.spe_limit(confidence), self.t2_limit(confidence))

    def _against(self, X: Any, spe_limit: float, t2_limit: float) -> Assessment:
        """`assess`, with limits of another kind than the usual ones."""
        return assess_centred(self, self.centred(X), spe_limit, t2_limit)

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

    # --- limits ------------------------------------------------------------------------------

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

    def calibrate(self, X: Any, *, ewma: float | None = None) -> Self:
        """Remember the SPE and T^2 of rows that are known to be normal, for empirical limits.

        Call it as often as such rows come: of any number of rows about 15 kB are kept. Rows
        that the model has learned from look closer to it than new ones; give others. With `ewma`
        also of the running means with this weight, of rows in their order.

        Examples
        --------
        >>> import numpy as np
        >>> from streampca import StreamingPCA
        >>> rng = np.random.default_rng(0)
        >>> monitor = Monitor(StreamingPCA(2).fit(rng.standard_t(4, size=(5000, 6))))
        >>> for _ in range(10):
        ...     monitor = monitor.calibrate(rng.standard_t(4, size=(1000, 6)))
        >>> new = monitor.spe(rng.standard_t(4, size=(20_000, 6)))  # heavier tails than Gaussian
        >>> for method in ("jackson-mudholkar", "empirical"):
        ...     print(method, f"{(new > monitor.spe_limit(0.99, method)).mean():.3f}")
        jackson-mudholkar 0.042
        empirical 0.012
        """
        spe, t2 = self.both(self.centred(X))
        self._normal_spe.update(spe[~np.isnan(spe)])
        self._normal_t2.update(t2[~np.isnan(t2)])
        if ewma is not None:
            self._normal_smooth.setdefault(ewma, Smooth(ewma)).update(spe, t2)
        return self

    @property
    def n_calibrated(self) -> int:
        """Rows that `calibrate` was given."""
        return self._normal_spe.count

    def spe_limit(self, confidence: float = 0.99, method: str = "jackson-mudholkar") -> float:
        """SPE that normal rows exceed with probability 1 - confidence.

        Parameters
        ----------
        confidence : float
            Between 0 and 1.
        method : {"jackson-mudholkar", "saddlepoint", "box", "empirical"}
            A power of SPE taken as normal (1979); the saddlepoint approximation of its
            distribution (1999), the most accurate of the three; or SPE as a multiple of
            chi-square (1954). Where the first has no power to offer (a few directions hold
            nearly all that is left out), it gives way to the second. "empirical": the quantile of
            what `calibrate` saw.
        """
        if self.n_components == len(self._fitted.components) and not leaves_a_rest(self._fitted):
            p, n = self._fitted.components.shape
            raise ValueError("the model " + NO_REST.format(p=p, n=n))
        if method == "empirical":
            return self._normal_spe.limit(confidence)
        limits.check_choice("method", method, (*_SPE_LIMITS, "empirical"))
        return _SPE_LIMITS[method](self.left_out, confidence)

    def smooth_limits(self, confidence: float, ewma: float) -> tuple[float, float]:
        """Limits of the running means of SPE and T^2, from what `calibrate` saw with `ewma`."""
        return self._normal_smooth.get(ewma, Smooth(ewma)).limits(confidence)

    @property
    def n_rows(self) -> float:
        """Rows that the model knows, as far as it has not forgotten them."""
        return min(float(self._fitted.n_samples_seen), float(self._fitted.weight))

    def t2_limit(
        self, confidence: float = 0.99, method: str = "f", *, n_components: int | None = None
    ) -> float:
        """T^2 that normal rows exceed with probability 1 - confidence.

        Parameters
        ----------
        confidence : float
            Between 0 and 1.
        method : {"f", "chi2", "empirical"}
            "f" allows for the mean and variances having been estimated from N rows:
            p (N^2 - 1) / (N (N - p)) F(p, N - p); "chi2" takes them for known. "empirical": the
            quantile of what `calibrate` saw.
        n_components : int, optional
            Of T^2 along so many components; all of them by default. Not for "empirical".
        """
        if method == "empirical":
            if n_components is not None:
                raise ValueError(
                    "method='empirical' is not accepted with n_components: calibrate() keeps T^2 "
                    "of all components"
                )
            return self._normal_t2.limit(confidence)
        limits.check_choice("method", method, ("f", "chi2", "empirical"))
        p = self.statistics.n_kept if n_components is None else n_components
        if method == "chi2":
            return limits.chi_square(p, confidence)
        return limits.hotelling(p, self.n_rows, confidence)
