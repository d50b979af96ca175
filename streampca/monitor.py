"""SPE (Q) and Hotelling's T^2: how far rows are from a model, from how far on that is unusual, why.

Imports no estimator: whatever has components, their variances and the total can be monitored.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from streampca._arrays import to_numpy
from streampca._input import read_rows
from streampca.moments import moments_from_state

__all__ = ["Monitor", "Statistics", "empirical_limit"]

Float64 = NDArray[np.float64]


class Fitted(Protocol):
    """What a `Checkpoint` has, and `StreamingPCA.checkpoint()` gives."""

    @property
    def mean(self) -> NDArray[Any]: ...
    @property
    def components(self) -> NDArray[Any]: ...
    @property
    def explained_variance(self) -> NDArray[Any]: ...
    @property
    def total_variance(self) -> float: ...
    @property
    def n_samples_seen(self) -> int: ...
    @property
    def weight(self) -> float: ...
    @property
    def feature_names(self) -> tuple[str, ...] | None: ...
    @property
    def moments_kind(self) -> str: ...
    @property
    def moments(self) -> Mapping[str, NDArray[Any]]: ...


class Statistics:
    """SPE and T^2 of rows that have been centred; the arithmetic, without checks.

    With D (m, n) the rows less the mean, C (p, n) the components and lambda their variances:
    Z = D C', SPE = ||D - Z C||^2 and T^2 = sum_i z_i^2 / lambda_i, row by row. A direction in
    which the model has no variance is no component here: what a row has there counts as SPE.

    Parameters
    ----------
    components : ndarray of shape (p, n)
    variances : ndarray of shape (p,)
        Largest first.
    total_variance : float

    Attributes
    ----------
    n_kept : int
        Components that have variance.
    expected_spe : float
        The variance left out: the mean of SPE over the rows learned from.
    """

    def __init__(
        self, components: NDArray[Any], variances: NDArray[Any], total_variance: float
    ) -> None:
        eps = float(np.finfo(components.dtype).eps)
        values = np.asarray(variances, dtype="float64")
        kept = values > components.shape[1] * eps * values.max(initial=0.0)
        self.variances: Float64 = values[kept]
        self.components: Float64 = components[kept].astype("float64")  # (p, n)
        self._precisions: Float64 = 1.0 / self.variances
        self.n_kept = len(self.variances)
        rounding = eps * max(float(total_variance), 0.0)
        self.expected_spe = max(float(total_variance) - float(self.variances.sum()), rounding)

    def split(self, D: Float64) -> tuple[Float64, Float64]:
        """Coordinates Z (m, p) and rests E = D - Z C (m, n)."""
        Z = D @ self.components.T
        return Z, D - Z @ self.components

    def both(self, D: Float64) -> tuple[Float64, Float64]:
        """SPE and T^2, (m,) each."""
        Z, E = self.split(D)
        return np.einsum("ij,ij->i", E, E), (Z * Z / self.variances).sum(axis=1)

    def one(self, d: Float64) -> tuple[float, float]:
        """SPE and T^2 of one row (n,), in a fifth of the time that `both` takes for it."""
        z = self.components.dot(d)
        e = d - z.dot(self.components)
        return float(e.dot(e)), float((z * z).dot(self._precisions))

    def combine(self, spe: float, t2: float) -> float:
        """SPE / E[SPE] + T^2 / p: each in units of what is usual."""
        if self.expected_spe == 0.0:  # there was no variance at all
            return float("inf") if spe > 0 else 0.0
        return spe / self.expected_spe + t2 / max(self.n_kept, 1)


class Monitor:
    """SPE (Q) and Hotelling's T^2 of rows, their control limits, and each feature's contribution.

    SPE, the squared length of what the components leave of a row, rises when the relations
    between features break. T^2, the squared distance along the components in units of their
    standard deviations, rises when a row is unusual while the relations hold.

    Parameters
    ----------
    model : Checkpoint or StreamingPCA
        The model as it stands now; a monitor does not change when the model learns on.

    Notes
    -----
    Limits hold for Gaussian rows that were not learned from. Real rows often have heavier tails:
    compare with `empirical_limit` on rows known to be normal.

    References
    ----------
    J. E. Jackson and G. S. Mudholkar, Technometrics 21 (1979) 341-349; G. E. P. Box, Annals of
    Mathematical Statistics 25 (1954) 290-302; P. Nomikos and J. F. MacGregor, Technometrics 37
    (1995) 41-59.

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

    def __init__(self, model: Any) -> None:
        fitted: Fitted = model.checkpoint() if hasattr(model, "checkpoint") else model
        self._fitted = fitted
        self._mean = np.asarray(fitted.mean, dtype="float64")
        self.statistics = Statistics(
            fitted.components, fitted.explained_variance, fitted.total_variance
        )

    # --- rows --------------------------------------------------------------------------------

    def spe(self, X: Any) -> Float64:
        """Squared prediction error of each row, (m,)."""
        return self.statistics.both(self._centred(X))[0]

    def t2(self, X: Any) -> Float64:
        """Hotelling's T^2 of each row, (m,)."""
        return self.statistics.both(self._centred(X))[1]

    def combined(self, X: Any) -> Float64:
        """SPE / E[SPE] + T^2 / p of each row, (m,): 2 on average over the rows learned from."""
        spe, t2 = self.statistics.both(self._centred(X))
        return np.array([self.statistics.combine(*each) for each in zip(spe, t2, strict=True)])

    def spe_contributions(self, X: Any) -> Float64:
        """Part of each feature in SPE, (m, n): squared rests; they add up to SPE."""
        _, E = self.statistics.split(self._centred(X))
        return np.asarray(E * E)

    def t2_contributions(self, X: Any) -> Float64:
        """Part of each feature in T^2, (m, n); they add up to T^2, and some may be negative.

        d_j sum_i z_i c_ij / lambda_i for a row d less the mean (Nomikos and MacGregor 1995).
        """
        D = self._centred(X)
        Z, _ = self.statistics.split(D)
        return D * ((Z / self.statistics.variances) @ self.statistics.components)

    def _centred(self, X: Any) -> Float64:
        read = read_rows(X, feature_names=self._fitted.feature_names, n_features=len(self._mean))
        rows = to_numpy(read.values) if isinstance(read.values, torch.Tensor) else read.values
        if hasattr(rows, "toarray"):
            rows = rows.toarray()
        D: Float64 = rows.astype("float64") - self._mean
        return D

    # --- limits ------------------------------------------------------------------------------

    @cached_property
    def left_out(self) -> Float64:
        """Variances along the directions that are no components, largest first.

        Exact from dense moments. Factored ones know the next directions; what remains, and all of
        it where the model came without moments, is spread evenly over the rest.
        """
        fitted, p = self._fitted, self.statistics.n_kept
        known = np.zeros(0)
        if fitted.moments_kind in ("dense", "factored"):
            moments = moments_from_state(fitted.moments_kind, dict(fitted.moments))
            known = np.maximum(moments.leading(len(self._mean))[1][p:], 0.0)
        rest = len(self._mean) - p - len(known)
        missing = self.statistics.expected_spe - float(known.sum())
        return np.concatenate([known, np.full(rest, max(missing, 0.0) / max(rest, 1))])

    def spe_limit(self, confidence: float = 0.99, method: str = "jackson-mudholkar") -> float:
        """SPE that normal rows exceed with probability 1 - confidence.

        Parameters
        ----------
        confidence : float
            Between 0 and 1.
        method : {"jackson-mudholkar", "box"}
            A power of SPE taken as normal (1979), or SPE as a multiple of chi-square (1954).
            Where the former has no power to offer (a few directions hold nearly all that is left
            out), it gives way to the latter.
        """
        _check_confidence(confidence)
        _check_choice("method", method, ("jackson-mudholkar", "box"))
        theta1, theta2, theta3 = (float((self.left_out**k).sum()) for k in (1, 2, 3))
        if theta2 == 0.0:
            return 0.0
        h0 = 1.0 - 2.0 * theta1 * theta3 / (3.0 * theta2**2)
        if method == "jackson-mudholkar" and h0 > 0:
            z = NormalDist().inv_cdf(confidence)
            base = 1.0 + theta2 * h0 * (h0 - 1.0) / theta1**2
            base += z * (2.0 * theta2 * h0**2) ** 0.5 / theta1
            if base > 0:
                return theta1 * float(base ** (1.0 / h0))
        freedom = theta1**2 / theta2
        return theta2 / theta1 * float(_distributions().chi2.ppf(confidence, freedom))

    def t2_limit(self, confidence: float = 0.99, method: str = "f") -> float:
        """T^2 that normal rows exceed with probability 1 - confidence.

        Parameters
        ----------
        confidence : float
            Between 0 and 1.
        method : {"f", "chi2"}
            "f" allows for the mean and variances having been estimated from N rows:
            p (N^2 - 1) / (N (N - p)) F(p, N - p); "chi2" takes them for known.
        """
        _check_confidence(confidence)
        _check_choice("method", method, ("f", "chi2"))
        p = self.statistics.n_kept
        if p == 0:
            return 0.0
        if method == "chi2":
            return float(_distributions().chi2.ppf(confidence, p))
        N = min(float(self._fitted.n_samples_seen), float(self._fitted.weight))
        if p >= N:
            return float("inf")
        scale = p * (N * N - 1.0) / (N * (N - p))
        return scale * float(_distributions().f.ppf(confidence, p, N - p))


def empirical_limit(values: ArrayLike, confidence: float = 0.99) -> float:
    """The value that a share 1 - confidence of `values`, from rows known to be normal, exceeds.

    Examples
    --------
    >>> empirical_limit(range(1, 101), 0.95)
    95.0
    """
    _check_confidence(confidence)
    return float(np.quantile(np.asarray(values, "float64"), confidence, method="inverted_cdf"))


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence={confidence!r} is not accepted: give a number such as 0.99")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not accepted: give one of {', '.join(choices)}")


def _distributions() -> Any:
    try:
        from scipy import stats
    except ImportError as error:  # pragma: no cover - the test environment has scipy
        raise ImportError('control limits need scipy: pip install "streampca[monitor]"') from error
    return stats
