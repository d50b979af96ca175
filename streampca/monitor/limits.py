"""Control limits as functions of what they depend on: how large a statistic of normal rows gets."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


def jackson_mudholkar(left_out: Float64, confidence: float) -> float:
    """Limit of SPE, the sum of left_out_j chi-square(1): its power h0 is taken as normal (1979).

    Where h0 is not positive there is no such power, and `saddlepoint` answers.
    """
    check_confidence(confidence)
    theta1, theta2, theta3 = (float((left_out**k).sum()) for k in (1, 2, 3))
    if theta2 == 0.0:
        return 0.0
    h0 = 1.0 - 2.0 * theta1 * theta3 / (3.0 * theta2**2)
    if h0 > 0:
        z = NormalDist().inv_cdf(confidence)
        base = 1.0 + theta2 * h0 * (h0 - 1.0) / theta1**2
        base += z * (2.0 * theta2 * h0**2) ** 0.5 / theta1
        if base > 0:
            return theta1 * float(base ** (1.0 / h0))
    return saddlepoint(left_out, confidence)


def saddlepoint(left_out: Float64, confidence: float) -> float:
    """Limit of SPE, the sum of left_out_j chi-square(1), by the saddlepoint of its cumulants.

    With K(t) = -1/2 sum log(1 - 2 left_out_j t), the probability beyond x = K'(t) is
    1 - Phi(r + log(v / r) / r), r = sgn(t) sqrt(2 (t x - K)), v = t sqrt(K'') (Kuonen 1999).
    """
    check_confidence(confidence)
    weights = left_out[left_out > 0]
    if len(weights) == 0:
        return 0.0
    scale = float(weights.max())
    w = weights / scale
    wanted = NormalDist().inv_cdf(confidence)
    # Both the limit and its normal score rise with t, from far below the mean up to the pole at
    # 1/2: halving 200 times finds t to the last bit on either side.
    low, high = -1e8 * len(w), 0.5
    for _ in range(200):
        t = 0.5 * (low + high)
        low, high = (t, high) if _normal_score(w, t) < wanted else (low, t)
    return scale * float((w / (1.0 - 2.0 * w * low)).sum())


def _normal_score(w: Float64, t: float) -> float:
    """R + log(v / r) / r of the sum at the saddlepoint t < 1/2."""
    rest = 1.0 - 2.0 * w * t
    if (rest <= 0).any():
        return float("inf")
    K1, K2 = float((w / rest).sum()), float(2.0 * (w**2 / rest**2).sum())
    r = np.sign(t) * np.sqrt(max(2.0 * (t * K1 + 0.5 * float(np.log1p(-2.0 * w * t).sum())), 0.0))
    if abs(r) < 1e-4:  # the limit at the mean, where both r and v are rounding
        return float(r + 8.0 * (w**3 / rest**3).sum() / (6.0 * K2**1.5))
    return float(r + np.log(t * np.sqrt(K2) / r) / r)


def box(left_out: Float64, confidence: float) -> float:
    """Limit of SPE as g chi-square(h), with its mean and variance (Box 1954)."""
    check_confidence(confidence)
    theta1, theta2 = float(left_out.sum()), float((left_out**2).sum())
    if theta2 == 0.0:
        return 0.0
    freedom = theta1**2 / theta2
    return theta2 / theta1 * float(_distributions().chi2.ppf(confidence, freedom))


def smoothed(mean: float, variance: float, weight: float, confidence: float) -> float:
    """Limit of the running mean of a positive statistic, as g chi-square(h).

    A running mean that gives a new value this weight has the variance of the value times
    weight / (2 - weight), where values say nothing of those that follow (Roberts 1959).
    """
    check_confidence(confidence)
    variance *= weight / (2.0 - weight)
    if mean <= 0 or variance <= 0:
        return max(mean, 0.0)
    freedom = 2.0 * mean * mean / variance
    return mean / freedom * float(_distributions().chi2.ppf(confidence, freedom))


def hotelling_moments(p: int, N: float) -> tuple[float, float]:
    """Mean and variance of T^2 of a new row where it was estimated from N rows."""
    if p == 0:
        return 0.0, 0.0
    if p + 4 >= N:
        return float("inf"), float("inf")
    scale = p * (N * N - 1.0) / (N * (N - p))
    mean, variance = _distributions().f.stats(p, N - p, moments="mv")
    return scale * float(mean), scale**2 * float(variance)


def chi_square(p: int, confidence: float) -> float:
    """Limit of T^2 along p components whose mean and variances are known."""
    check_confidence(confidence)
    return float(_distributions().chi2.ppf(confidence, p)) if p else 0.0


def hotelling(p: int, N: float, confidence: float) -> float:
    """Limit of T^2 of a new row where mean and variances were estimated from N rows."""
    check_confidence(confidence)
    if p == 0:
        return 0.0
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
    check_confidence(confidence)
    return float(np.quantile(np.asarray(values, "float64"), confidence, method="inverted_cdf"))


def check_confidence(confidence: float) -> None:
    """ValueError unless it lies between 0 and 1."""
    if not (isinstance(confidence, float | np.floating) and 0.0 < confidence < 1.0):
        raise ValueError(f"confidence={confidence!r} is not accepted: give a number such as 0.99")


def check_method(method: str, methods: tuple[str, ...]) -> None:
    """ValueError unless it is one of the methods."""
    if method not in methods:
        raise ValueError(f"method={method!r} is not accepted: give one of {', '.join(methods)}")


def _distributions() -> Any:
    try:
        from scipy import stats
    except ImportError as error:  # pragma: no cover - the test environment has scipy
        raise ImportError('control limits need scipy: pip install "streampca[monitor]"') from error
    return stats
