"""Dense moments after each of many small windows, side by side.

The same sums in the same order as `dense_of_few` and `merge` form. Knows nothing of who reads them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import one_thread
from streampca.moments.dense import DenseMoments
from streampca.moments.pairs import Pairs
from streampca.moments.scatter import Scatter
from streampca.moments.thin import pays

__all__ = ["Series", "series"]

Float64 = NDArray[np.float64]

_MOST_BYTES = 2**21
"""Of scatter matrices side by side: a cache has room for some of it."""


class Counts(NamedTuple):
    """What moments have seen after a window."""

    n_samples: int
    n_copies: float
    weight: float
    pairs: Pairs


class Series(NamedTuple):
    """Moments after each of some windows."""

    scatter: Float64  # (t, n, n)
    means: Float64  # (t, n)
    counts: list[Counts]
    last: DenseMoments

    @property
    def denominators(self) -> Float64:
        """What each scatter is divided by, (t,)."""
        by = [c.pairs.denominator(c.weight) if self.last.center else c.weight for c in self.counts]
        return np.array([each or 1.0 for each in by])

    def moments(self, i: int) -> DenseMoments:
        """Those after window i."""
        made = copy.copy(self.last)
        made._thin, made._scratch = None, None
        made._sum, made._mean = Scatter(np.array(self.scatter[i])), np.array(self.means[i])
        made.n_samples, made.n_copies, made.weight, made.pairs = self.counts[i]
        return made


def series(
    moments: DenseMoments, windows: Sequence[NDArray[np.float64]], decays: Sequence[float]
) -> Series | None:
    """Learn the rows (m, n) of windows, as many as fit, each after forgetting by its decay.

    None, and nothing is learned, where the moments are not a matrix of float64 on the host yet, or
    where the first window is not of few rows.

    Examples
    --------
    >>> moments = DenseMoments(3, dtype="float64", device=None)
    >>> series(moments, [np.ones((1, 3))], [1.0]) is None  # its rows are kept as they are
    True
    >>> _ = moments.scatter, moments._turned_dense()
    >>> found = series(moments, [np.ones((1, 3)), np.zeros((1, 3))], [1.0, 1.0])
    >>> found.scatter[:, 0], found.means[:, 0], moments.n_samples
    (array([[0. , 0. , 0. ],
           [0.5, 0.5, 0.5]]), array([1. , 0.5]), 2)
    """
    if not moments.is_matrix:
        return None
    n = moments.n_features
    fitting = list(windows[: max(1, _MOST_BYTES // (8 * n * n))])
    few = [X.dtype == np.float64 and len(X) > 0 and pays(len(X), n) for X in fitting]
    fitting = fitting[: few.index(False)] if False in few else fitting
    if not fitting:
        return None
    before = moments.copy()
    with one_thread(), np.errstate(all="ignore"):
        found = _learned(moments, fitting, decays)
    if not np.isfinite(found.scatter[-1].trace()):  # whoever adds them one by one says so
        vars(moments).update(vars(before))
        return None
    return found


def _learned(moments: DenseMoments, windows: Sequence[Float64], decays: Sequence[float]) -> Series:
    n, most = moments.n_features, max(map(len, windows))
    found = Series(np.empty((len(windows), n, n)), np.empty((len(windows), n)), [], moments)
    room, ones = np.empty((most + 1, n)), np.ones(most)
    for i, X in enumerate(windows):
        m = len(X)
        moments.decay(decays[i])
        rows = room[: m + 1]
        mean = np.zeros(n)
        if moments.center:
            # by the first row, then by their own mean: the difference of close numbers is exact
            np.subtract(X, X[0], out=rows[:m])
            offset = (ones[:m] @ rows[:m]) * (1.0 / m)
            rows[:m] -= offset
            mean = X[0] + offset
        else:
            rows[:m] = X
        step = mean - moments._mean
        rows[m] = step * (moments.weight * m / (moments.weight + m)) ** 0.5
        S = moments._scatter
        S += rows.T @ rows
        moments._join(step, float(m), Pairs.of_equal(float(m)))
        moments.n_samples += m
        moments.n_copies += m
        found.scatter[i], found.means[i] = S, moments._mean
        found.counts.append(
            Counts(moments.n_samples, moments.n_copies, moments.weight, moments.pairs)
        )
    return found
