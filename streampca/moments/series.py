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
from streampca.moments.pairs import Pairs, joint
from streampca.moments.scatter import Scatter
from streampca.moments.thin import ThinScatter, pays

__all__ = ["Series", "after_each"]

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
    rows: list[ThinScatter | None]  # where they are kept as they are
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
        made._thin, made._scratch, made._mean = self.rows[i], None, np.array(self.means[i])
        made._sum = Scatter(np.array(self.scatter[i])) if made._thin is None else None
        made.n_samples, made.n_copies, made.weight, made.pairs = self.counts[i]
        return made


def after_each(
    moments: DenseMoments, windows: Sequence[NDArray[np.float64]], decays: Sequence[float]
) -> Series | None:
    """Learn the rows (m, n) of windows, as many as fit, each after forgetting by its decay.

    None, and nothing is learned, where moments are not of float64 on the host, or where the first
    window is not of few rows.

    Examples
    --------
    >>> moments = DenseMoments(3, dtype="float64", device=None)
    >>> found = after_each(moments, [np.ones((1, 3)), np.zeros((1, 3))], [1.0, 1.0])
    >>> found.scatter[:, 0], found.means[:, 0], moments.n_samples
    (array([[0. , 0. , 0. ],
           [0.5, 0.5, 0.5]]), array([1. , 0.5]), 2)
    """
    if moments.device is not None or moments.dtype != "float64":
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
    shape = (len(windows), n)
    found = Series(np.empty((*shape, n)), [], np.empty(shape), [], moments)
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
        rows[m] = step * joint(moments.weight, m) ** 0.5
        _add(moments, rows)
        thin = moments._thin
        found.rows.append(thin)
        found.scatter[i] = moments._scatter if thin is None else thin.whole()
        moments._join(step, float(m), Pairs.of_equal(float(m)))
        moments.n_samples += m
        moments.n_copies += m
        found.means[i] = moments._mean
        found.counts.append(
            Counts(moments.n_samples, moments.n_copies, moments.weight, moments.pairs)
        )
    return found


def _add(moments: DenseMoments, rows: Float64) -> None:
    """Add those of a window, and the one that joins them, as `_merge_second` does."""
    if moments._thin is None:
        S = moments._scatter
        S += rows.T @ rows
        return
    there = rows[:-1].any(axis=1)
    if moments._thin.has_room_for(int(there.sum()) + 1):
        moments._thin = ThinScatter.of(moments._thin.Z, rows)
    else:
        moments._scatter += rows.T @ rows
