"""Rows against a model: SPE and T^2, their control limits, and each feature's contribution.

Imports no estimator: whatever has components, their variances and the total can be monitored.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streampca.monitor import limits
from streampca.monitor.assessment import Assessment, in_limits
from streampca.monitor.calibration import METHODS, sketches_of, with_sketches
from streampca.monitor.distances import Distances
from streampca.monitor.kept import leaves_a_rest, no_rest
from streampca.monitor.quantiles import Smooth
from streampca.monitor.spectrum import independent_rows
from streampca.text import html

__all__ = ["Assessment", "Monitor"]

Float64 = NDArray[np.float64]

_SPE_LIMITS = {
    "jackson-mudholkar": limits.jackson_mudholkar,
    "saddlepoint": limits.saddlepoint,
    "box": limits.box,
}


class Monitor(Distances):
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
        super().__init__(model, n_components=n_components)
        kept = sketches_of(self._fitted, self.n_components)
        self._normal_spe, self._normal_t2 = kept.pop(None)
        self._normal_smooth = {ewma: Smooth(ewma, kept[ewma]) for ewma in kept if ewma is not None}

    def assess(self, X: Any, confidence: float = 0.99) -> Assessment:
        """SPE and T^2 of rows against their limits, and which feature is behind each.

        Limits are Jackson and Mudholkar's and F's. The feature is the one with the largest part
        in the statistic that is further beyond its limit.
        """
        return self._against(X, self.spe_limit(confidence), self.t2_limit(confidence))

    def _against(self, X: Any, spe_limit: float, t2_limit: float) -> Assessment:
        """`assess`, with limits of another kind than the usual ones."""
        D = self.centred(X)
        spe, t2 = self.both(D)
        by_spe = in_limits(spe, spe_limit) >= in_limits(t2, t2_limit)
        of_spe, of_t2 = (self.parts(D, of_spe=which) for which in (True, False))
        parts = np.where(by_spe[:, None], of_spe, of_t2)
        feature = parts.argmax(axis=1)
        total, largest = np.where(by_spe, spe, t2), parts[np.arange(len(D)), feature]
        with np.errstate(invalid="ignore"):  # infinite statistics have no shares
            share = np.divide(largest, total, out=np.zeros_like(total), where=total > 0)
        alarm = (spe > spe_limit) | (t2 > t2_limit)
        return Assessment(spe, t2, spe_limit, t2_limit, alarm, by_spe, feature, share)

    # --- limits ------------------------------------------------------------------------------

    def calibrate(self, X: Any, *, ewma: float | None = None) -> Self:
        """Remember the SPE and T^2 of rows that are known to be normal, for empirical limits.

        Call it as often as such rows come: of any number of rows about 15 kB are kept. Rows
        that the model has learned from lie closer to it than new ones; give others. With `ewma`
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
        smooth = None if ewma is None else self._normal_smooth.get(ewma) or Smooth(ewma)
        spe, t2 = self.both(self.centred(X))
        self._normal_spe.update(spe[~np.isnan(spe)])
        self._normal_t2.update(t2[~np.isnan(t2)])
        if ewma is not None and smooth is not None:
            there = ~(np.isnan(spe) | np.isnan(t2))
            smooth.update(spe[there], t2[there])
            self._normal_smooth[ewma] = smooth
        return self

    def checkpoint(self) -> Any:
        """The model's checkpoint with what `calibrate` saw, as some kilobytes.

        A `Monitor` of it, in another process or of the file in a store, has these empirical limits,
        of the rows and of their running means, as long as it uses as many components.

        Examples
        --------
        >>> import numpy as np
        >>> from streampca import Checkpoint, StreamingPCA
        >>> rng = np.random.default_rng(0)
        >>> monitor = Monitor(StreamingPCA(2).fit(rng.normal(size=(500, 5))))
        >>> saved = monitor.calibrate(rng.normal(size=(1000, 5))).checkpoint().to_bytes()
        >>> Monitor(Checkpoint.from_bytes(saved)).n_calibrated
        1000
        """
        smooth = {ewma: each.sketches for ewma, each in self._normal_smooth.items()}
        rows = self._normal_spe, self._normal_t2
        return with_sketches(self._fitted, self.n_components, {None: rows} | smooth)

    def limits(self, confidence: float = 0.99) -> tuple[float, float, str]:
        """Limits of SPE and T^2, and their method: empirical where calibrated with enough rows.

        Otherwise those of theory, Jackson and Mudholkar's and F's.
        """
        method = "empirical" if self.is_calibrated(confidence) else "theory"
        of_spe, of_t2 = METHODS[method]
        return self.spe_limit(confidence, of_spe), self.t2_limit(confidence, of_t2), method

    def is_calibrated(self, confidence: float = 0.99, ewma: float | None = None) -> bool:
        """Whether there are empirical limits at this confidence, with `ewma` of running means."""
        rows = self._normal_spe, self._normal_t2
        smooth = () if ewma is None else self._smooth(ewma).sketches
        return all(each.count * (1 - confidence) >= 1 - 1e-9 for each in (*rows, *smooth))

    def __repr__(self) -> str:
        key = getattr(self._fitted, "key", None)
        model = f"model of {self._fitted.n_samples_seen:,} rows"
        whose = "" if key is None else f", key {key!r}"
        return f"Monitor(<{model}{whose}>, n_components={self.n_components})"

    def _repr_html_(self) -> str:
        k, p, n = self.n_components, len(self._fitted.components), self.n_features
        facts = [["rows learned", self._fitted.n_samples_seen], ["features", n]]
        facts += [["components", k if k == p else f"{k} of {p}"]]
        try:
            spe, t2, method = self.limits()
        except ValueError as error:
            facts.append(["limits", str(error)])
        else:
            rows = f"{self.n_calibrated:,} normal rows"
            whence = rows if method == "empirical" else "theory"
            facts.append(["limits at 99 %", f"SPE {spe:.4g}, T² {t2:.4g}, from {whence}"])
        variances = [*self.statistics.variances.tolist(), *self.left_out.tolist()]
        line = html.spark(variances[:60], f"variances: {k} of components, then left out", bars=True)
        return html.card("Monitor", html.facts(facts), line, " variances, used and left out")

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
            raise ValueError(no_rest(self._fitted))
        if method == "empirical":
            return self._normal_spe.limit(confidence)
        limits.check_method(method, (*_SPE_LIMITS, "empirical"))
        return _SPE_LIMITS[method](self.left_out, confidence)

    def smooth_limits(self, confidence: float, ewma: float) -> tuple[float, float]:
        """Limits of the running means of SPE and T^2, from what `calibrate` saw with `ewma`."""
        return self._smooth(ewma).limits(confidence)

    def _smooth(self, ewma: float) -> Smooth:
        return self._normal_smooth.get(ewma, Smooth(ewma))

    @cached_property
    def n_rows(self) -> float:
        """Equal rows that say as much as those that the model knows and has not forgotten."""
        return independent_rows(self._fitted)

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
        limits.check_method(method, ("f", "chi2", "empirical"))
        p = self.statistics.n_kept if n_components is None else n_components
        if method == "chi2":
            return limits.chi_square(p, confidence)
        return limits.hotelling(p, self.n_rows, confidence)
