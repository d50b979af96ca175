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
    varied with it so far, moving its mean there changes nothing else. Without centring all stand
    about zero, and stay there.
    """

    def __init__(self, n_features: int) -> None:
        self.unseen: NDArray[np.bool_] = np.zeros(n_features, bool)

    def begin(self, X: Array) -> Array:
        """The first minibatch, whose gaps are filled by its own means."""
        host, seen, means = _means(X)
        self.unseen = np.asarray(~seen.any(axis=0))
        filled = np.where(seen, host, means.astype(host.dtype))
        return filled if namespace(X) is np else to_device(filled, str(X.device))

    def first_values(self, X: Array, moments: Moments) -> bool:
        """Move means to where features stand that X has the first values of; whether it has any."""
        if not self.unseen.any():
            return False
        _, seen, means = _means(X)
        new = self.unseen & seen.any(axis=0)
        self.unseen &= ~new
        _move(moments, new, means)
        return bool(new.any())

    @staticmethod
    def standing(X: Array, filled: Array, moments: Moments) -> Array:
        """Rows X (m, n) filled by a model, where what does not vary stands exactly at its mean.

        Rounding in the model would be all the variance that it has, and the unit of `scale`.
        """
        still = np.isnan(to_numpy(X)) & (moments.variance == 0)
        if not still.any():
            return filled
        host = np.where(still, moments.mean.astype(to_numpy(filled).dtype), to_numpy(filled))
        return host if namespace(filled) is np else to_device(host, str(filled.device))

    def merged(
        self, ours: Moments, theirs: Moments, unseen: NDArray[np.bool_] | None = None
    ) -> Moments:
        """Both moments together; features unseen on one side stand where they do on the other.

        `unseen` are those of theirs; None where that is not known, and then they are the features
        that stand at zero without variance.
        """
        some = self.unseen.any() or (unseen is not None and unseen.any())
        if not some or theirs.n_features != ours.n_features:
            ours.merge(theirs)
            return ours
        if unseen is None:
            unseen = np.asarray((theirs.mean == 0) & (theirs.variance == 0))
        if ours.weight == 0:
            ours.merge(theirs)
            self.unseen = np.array(unseen)
            return ours
        here, there = self.unseen & ~unseen, unseen & ~self.unseen
        if here.any():
            ours = ours.copy()
            _move(ours, here, theirs.mean - ours.mean)
        if there.any():
            theirs = theirs.copy()
            _move(theirs, there, ours.mean - theirs.mean)
        ours.merge(theirs)
        self.unseen &= unseen
        return ours


def _move(moments: Moments, which: NDArray[np.bool_], step: NDArray[np.float64]) -> None:
    if moments.center and which.any():
        moments.move_mean(np.where(which, step, 0.0))


def _means(X: Array) -> tuple[NDArray[np.floating], NDArray[np.bool_], NDArray[np.float64]]:
    """X on the host, where it has entries (m, n), and the mean of these for each feature (n,)."""
    host = to_numpy(X)
    seen = ~np.isnan(host)
    means = np.where(seen, host, 0).sum(axis=0, dtype="float64")
    return host, seen, means / np.maximum(seen.sum(axis=0), 1)
