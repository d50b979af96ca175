"""Gaps in rows to learn from: which features no row has had yet, and where they stand.

Knows what is to be filled in before there is a model; how a model fills gaps stands in model.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, namespace, to_device, to_numpy
from streampca.moments import Moments


class Gaps:
    """Features (n,) that have been gaps in every row so far.

    One stands at zero, without variance. Its first values say where it stands; since nothing
    varied with it so far, moving its mean there changes nothing else.
    """

    def __init__(self, n_features: int) -> None:
        self.unseen: NDArray[np.bool_] = np.zeros(n_features, bool)

    def begin(self, X: Array) -> Array:
        """The first minibatch, whose gaps are filled by its own means."""
        host, seen, means = _means(X)
        self.unseen = np.asarray(~seen.any(axis=0))
        filled = np.where(seen, host, means.astype(host.dtype))
        return filled if namespace(X) is np else to_device(filled, str(X.device))

    def first_values(self, X: Array) -> NDArray[np.float64] | None:
        """How far (n,) to move the mean for features that X has the first values of, if any."""
        if not self.unseen.any():
            return None
        _, seen, means = _means(X)
        new = self.unseen & seen.any(axis=0)
        self.unseen &= ~new
        return np.where(new, means, 0.0) if new.any() else None

    def merged(self, ours: Moments, theirs: Moments) -> Moments:
        """Both moments together; features unseen here stand where they stand there."""
        if not self.unseen.any():
            ours.merge(theirs)
            return ours
        joined = ours.copy()
        joined.move_mean(np.where(self.unseen, theirs.mean, 0.0))
        joined.merge(theirs)
        self.unseen &= (theirs.mean == 0) & (theirs.variance == 0)
        return joined


def _means(X: Array) -> tuple[NDArray[np.floating], NDArray[np.bool_], NDArray[np.float64]]:
    """X on the host, where it has entries (m, n), and the mean of these for each feature (n,)."""
    host = to_numpy(X)
    seen = ~np.isnan(host)
    means = np.where(seen, host, 0).sum(axis=0, dtype="float64")
    return host, seen, means / np.maximum(seen.sum(axis=0), 1)
