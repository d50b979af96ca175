"""Rows beside two limits: which alarm, by which statistic, and which feature is behind it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def in_limits(statistic: Float64, limit: float) -> Float64:
    """A statistic in units of its limit; infinite beyond a limit of 0; 0 where there is none."""
    if limit > 0:
        return np.nan_to_num(statistic / limit, nan=0.0, posinf=np.inf)
    return np.where(statistic > 0, np.inf, 0.0)
