"""The scatter matrix while it grows: Z'Z in float64, over sums in the dtype of the rows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, add_gram, namespace, writeable

ROWS_TOGETHER, MINIBATCHES_TOGETHER = 2**12, 64
"""Rows that are summed in the dtype they have, and the minibatches that they come in, at most. BLAS
itself rounds a sum once for every few hundred rows, so these are some 10 roundings. The error grows
in proportion: with MNIST at p = 100, 4,096 and 16,384 rows leave an excess of 5e-13 and 3e-12, and
the second takes 3 % less time."""

FEW_FEATURES = 128
"""Up to so many, passes over n x n arrays cost less than keeping sums apart does."""

_BLOCK = 2**16
"""Numbers of an n x n array that are worked on at once: they stay in the cache of a core."""


class Scatter:
    """A sum of Z'Z (n, n).

    On the CPU the last minibatches wait in a sum of their own, made by BLAS in one triangle: passes
    over n x n arrays come once for all of them, and are of half the size.
    """

    def __init__(self, whole: Array) -> None:
        self._sum = whole
        self._mirrored = True  # whether both of its triangles are up to date
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._recent: NDArray[Any] | None = None  # (n, n) X'X not in the sum yet, one triangle
        self._signed: list[NDArray[Any]] = []  # (k, n) each, and
        self._vectors: list[NDArray[Any]] = []  # what they are to be multiplied with
        self._corrected: NDArray[Any] | float = 0.0  # (n,) the diagonal of all these products
        self._n_rows = 0

    def add_rows(self, X: Array, signed: Array, V: Array) -> None:
        """Add X'X + signed' V for rows X (m, n) and a few rows V (or none) that centre them.

        `signed` is V times -1 where its outer product is taken away. All are of one dtype.
        """
        if namespace(X) is not np:
            self._sum += (X.T @ X).addmm_(signed.T, V)
            return
        if X.shape[1] <= FEW_FEATURES:
            product = X.T @ X
            self._sum += product + signed.T @ V if len(V) else product
            return
        late = self._n_rows + len(X) > ROWS_TOGETHER
        full = late or len(self._vectors) >= MINIBATCHES_TOGETHER
        if self._recent is not None and (full or self._recent.dtype != X.dtype):
            self._settle()
        if self._recent is None:
            self._recent = np.zeros(self._sum.shape, X.dtype)
        self._signed.append(signed)
        self._vectors.append(V)
        self._corrected = self._corrected + (signed * V).sum(axis=0, dtype="float64")
        self._n_rows += len(X)
        add_gram(self._recent, X)

    @property
    def whole(self) -> Array:
        """The sum so far, both triangles (n, n) float64: a view, to be changed in place."""
        self._settle()
        if not self._mirrored:
            _mirror(self._sum)
            self._mirrored = True
        return self._sum

    @whole.setter
    def whole(self, value: Array) -> None:
        self._start_afresh()
        self._sum, self._mirrored = value, True

    @property
    def diagonal(self) -> Array:
        """The diagonal of the sum so far, (n,) float64."""
        xp: Any = namespace(self._sum)
        diagonal = xp.diagonal(self._sum)
        if self._recent is None:
            return diagonal
        return diagonal + np.diagonal(self._recent) + self._corrected

    def _settle(self) -> None:
        """Bring what waits into the sum."""
        if self._recent is None:
            return
        recent, n = self._recent, len(self._sum)
        signed, V = np.concatenate(self._signed), np.concatenate(self._vectors)
        for start, stop in _blocks(n):
            block = recent[start:stop, start:]
            if len(V):
                block += signed[:, start:stop].T @ V[:, start:]
            self._sum[start:stop, start:] += block
        self._start_afresh()
        self._mirrored = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        # what waits still does, so that a copy goes on to the same bits
        self.__dict__ |= state
        self._sum, self._recent = writeable(self._sum), writeable(self._recent)


def _blocks(n: int) -> list[tuple[int, int]]:
    step = max(1, _BLOCK // n)
    return list(pairwise([*range(0, n, step), n]))


def _mirror(S: NDArray[np.float64]) -> None:
    """Copy what lies above the diagonal of S (n, n) to below it."""
    for start, stop in _blocks(len(S)):
        S[stop:, start:stop] = S[start:stop, stop:].T
        square = S[start:stop, start:stop]
        below = np.tril_indices(stop - start, -1)
        square[below] = square.T[below]
