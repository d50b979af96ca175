"""Rows beside two limits: which alarm, by which statistic, and which feature is behind it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streampca.monitor.statistics import Statistics

__all__ = ["Assessment", "assess_centred", "in_limits"]

Float64 = NDArray[np.float64]


class Assessment(NamedTuple):
    """Rows compared with the limits of a model; see `Monitor.assess`."""

    spe: Float64  # (m,)
    t2: Float64  # (m,)
    spe_limit: float
    t2_limit: float
    alarm: NDArray[np.bool_]  # (m,) whether either is above its limit
    by_spe: NDArray[np.bool_]  # (m,) whether SPE is the one further out
    feature: NDArray[np.intp]  # (m,) the one with the largest part in that statistic
    share: Float64  # (m,) that part


class Readings(Protocol):
    """The parts of centred rows (m, n) from which SPE and T^2 are computed."""

    def both(self, D: Float64) -> tuple[Float64, Float64]:
        """SPE and T^2, (m,) each; NaN where gaps leave nothing to say."""
        ...

    def parts(self, D: Float64, *, of_spe: bool) -> Float64:
        """Part of each feature in one of them, (m, n)."""
        ...


def assess_centred(readings: Readings, D: Float64, spe_limit: float, t2_limit: float) -> Assessment:
    """SPE and T^2 of rows less the mean (m, n) against these limits.

    The feature is the one with the largest part in the statistic that is further beyond its limit.
    """
    spe, t2 = readings.both(D)
    by_spe = in_limits(spe, spe_limit) >= in_limits(t2, t2_limit)
    of_spe, of_t2 = (readings.parts(D, of_spe=which) for which in (True, False))
    parts = np.where(by_spe[:, None], of_spe, of_t2)
    feature = parts.argmax(axis=1)
    total, largest = np.where(by_spe, spe, t2), parts[np.arange(len(D)), feature]
    with np.errstate(invalid="ignore"):  # infinite statistics have no shares
        share = np.divide(largest, total, out=np.zeros_like(total), where=total > 0)
    alarm = (spe > spe_limit) | (t2 > t2_limit)
    return Assessment(spe, t2, spe_limit, t2_limit, alarm, by_spe, feature, share)


def spe_parts(statistics: Statistics, D: Float64) -> Float64:
    """Part of each feature in SPE, (m, n)."""
    _, E = statistics.split(D)
    return np.asarray(E * E)


def t2_parts(statistics: Statistics, D: Float64) -> Float64:
    """Part of each feature in T^2, (m, n)."""
    Z, _ = statistics.split(D)
    return D * ((Z / statistics.variances) @ statistics.components)


def in_limits(statistic: Float64, limit: float) -> Float64:
    """A statistic in units of its limit; infinite beyond a limit of 0; 0 where there is none."""
    if limit > 0:
        return np.nan_to_num(statistic / limit, nan=0.0, posinf=np.inf)
    return np.where(statistic > 0, np.inf, 0.0)
