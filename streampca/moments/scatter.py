"""The scatter matrix while it grows: Z'Z in float64, over sums in the dtype of the rows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, add_gram, dtype_name, namespace, writeable
from streampca.moments.outer import add_outer

ROWS_TOGETHER, MINIBATCHES_TOGETHER = 2**12, 64
"""Rows that are summed in the dtype they have, and the minibatches that they come in, at most. BLAS
itself rounds a sum once for every few hundred rows, so these are some 10 roundings. The error grows
in proportion: with MNIST at p = 100, 4,096 and 16,384 rows leave an excess of 5e-13 and 3e-12, and
the second takes 3 % less time."""

FEW_FEATURES = 128
"""Up to so many, passes over n x n arrays cost less than keeping sums apart does."""

SUMMED = 2**10
"""Rows of which X'X is summed in their own dtype where features are few: then in float64."""

_LEAST_UNIT = 2.0**-16
"""Forgetting multiplies the unit of the sum, one number, down to this much; then all of the sum.
Rows are divided by it: 1e30, up to which float32 sums of squares are trusted, stays inside it."""

_BLOCK = 2**16
"""Numbers of an n x n array that are worked on at once: they stay in the cache of a core."""

_SQUARE = 64
"""Rows whose part of an n x n array is mirrored at once."""

_BELOW = np.tri(_SQUARE, k=-1, dtype=bool)


class Scatter:
    """A sum of Z'Z (n, n).

    On the CPU the last minibatches wait in a sum of their own, made by BLAS in one triangle: passes
    over n x n arrays come once for all of them, and are of half the size.
    """

    _unit = 1.0  # what all that is held here is to be multiplied with

    _just_read = True  # nothing has come since all of it was read, or written

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

    @staticmethod
    def dtype_of(X: Array) -> str:
        """Type in which vectors that centre rows X are added: float64 where features are few."""
        few = namespace(X) is np and X.shape[1] <= FEW_FEATURES
        return "float64" if few else dtype_name(X)

    def add_rows(self, X: Array, signed: Array, V: Array) -> None:
        """Add X'X + signed' V for rows X (m, n) and a few rows V (or none) that centre them.

        `signed` is V times -1 where its outer product is taken away. All are of one dtype, but for
        few features, whose V may be of float64.
        """
        times = 1.0 / self._unit
        if namespace(X) is not np:
            self._sum += (X.T @ X).addmm_(signed.T, V)
            return
        if X.shape[1] <= FEW_FEATURES:
            product = narrow_product(X)
            product = product + signed.T @ V if len(V) else product
            self._sum += product if times == 1.0 else product * np.float64(times)
            return
        if len(X) == 1 and self._just_read and not len(V):
            self._add_one(X, times)
            return
        self._just_read = False
        late = self._n_rows + len(X) > ROWS_TOGETHER
        recent = self._waiting(X.dtype, late, signed, V)
        self._n_rows += len(X)
        add_gram(recent, X, times)

    def add_products(self, products: NDArray[Any], signed: Array, V: Array) -> None:
        """Add products (n, n) of rows and signed' V; all are of float64, and host arrays."""
        times = 1.0 / self._unit
        if len(self._sum) <= FEW_FEATURES:
            products = products + signed.T @ V if len(V) else products
            self._sum += products if times == 1.0 else products * times
            return
        if self._recent is not None or len(self._vectors) >= MINIBATCHES_TOGETHER:
            self._settle()
        self._just_read = False
        self._sum += products if times == 1.0 else products * times
        if len(V):
            self._keep_apart(signed * times, V)

    def _add_one(self, X: NDArray[Any], times: float) -> None:
        """Add X'X of a row (1, n) to what has just been read: who reads after each waits for it."""
        self._sum = np.ascontiguousarray(self._sum)
        add_gram(self._sum, X.astype("float64"), times)
        self._mirrored = self._just_read = False

    def add_sparse(self, X: Any, signed: Array, V: Array) -> None:
        """Add X'X + signed' V for csr rows X (m, n), as for dense ones; vectors are of float64.

        What rows have no entries for is not touched; the vectors, which touch all, wait.
        """
        times = 1.0 / self._unit
        if self._recent is not None or len(self._vectors) >= MINIBATCHES_TOGETHER:
            self._settle()
        self._sum = np.ascontiguousarray(self._sum)
        add_outer(self._sum, X, times)
        self._mirrored = False
        if times != 1.0:
            signed = signed * times
        if len(V):
            self._keep_apart(signed, V)

    def _waiting(
        self, dtype: Any, late: bool, signed: NDArray[Any], V: NDArray[Any]
    ) -> NDArray[Any]:
        """The sum that the next minibatch goes into, with the vectors that centre it."""
        if self._unit != 1.0:
            signed = signed * signed.dtype.type(1.0 / self._unit)
        full = late or len(self._vectors) >= MINIBATCHES_TOGETHER
        if full or self._recent is None or self._recent.dtype != dtype:
            self._settle()
            self._recent = np.zeros(self._sum.shape, dtype)
        self._keep_apart(signed, V)
        return self._recent

    def _keep_apart(self, signed: NDArray[Any], V: NDArray[Any]) -> None:
        """Vectors whose product is added later, with those of other minibatches."""
        self._signed.append(signed)
        self._vectors.append(V)
        self._corrected = self._corrected + (signed * V).sum(axis=0, dtype="float64")

    def scale(self, factor: float) -> None:
        """Multiply all of it by a factor >= 0."""
        unit = self._unit * factor
        if namespace(self._sum) is np and unit >= _LEAST_UNIT:
            self._unit = unit
        else:
            whole = self.whole
            whole *= factor

    @property
    def is_settled(self) -> bool:
        """Whether `whole` is there without changing anything."""
        return self._mirrored and self._unit == 1.0 and not self._vectors

    @property
    def whole(self) -> Array:
        """The sum so far, both triangles (n, n) float64: a view, to be changed in place."""
        self._settle()
        if self._unit != 1.0:
            self._sum *= self._unit
            self._unit = 1.0
        if not self._mirrored:
            _mirror(self._sum)
            self._mirrored = True
        self._just_read = True
        return self._sum

    @whole.setter
    def whole(self, value: Array) -> None:
        self._start_afresh()
        self._sum, self._mirrored, self._unit, self._just_read = value, True, 1.0, True

    @property
    def diagonal(self) -> Array:
        """The diagonal of the sum so far, (n,) float64."""
        xp: Any = namespace(self._sum)
        diagonal = xp.diagonal(self._sum)
        if self._recent is not None:
            diagonal = diagonal + np.diagonal(self._recent)
        if self._vectors:
            diagonal = diagonal + self._corrected
        return diagonal if self._unit == 1.0 else diagonal * self._unit

    def _settle(self) -> None:
        """Bring what waits into the sum."""
        if not self._vectors:
            return
        recent, n = self._recent, len(self._sum)
        signed, V = np.concatenate(self._signed), np.concatenate(self._vectors)
        for start, stop in _blocks(n):
            if recent is None:
                block = signed[:, start:stop].T @ V[:, start:]
            else:
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


def narrow_product(X: NDArray[Any]) -> NDArray[Any]:
    """X'X (n, n) for rows of few features, of some thousand rows in float64.

    One call for all of them, which takes no longer than the plain product.
    """
    m, n = X.shape
    if m <= SUMMED:
        return np.asarray(X.T @ X)
    even = m - m % SUMMED if X.flags.c_contiguous else 0
    if even == 0:
        parts = [X[start : start + SUMMED] for start in range(0, m, SUMMED)]
        return np.asarray(sum((part.T @ part).astype("float64") for part in parts))
    pieces = X[:even].reshape(-1, SUMMED, n)
    product: NDArray[Any] = np.matmul(pieces.transpose(0, 2, 1), pieces).sum(
        axis=0, dtype="float64"
    )
    return product + X[even:].T @ X[even:] if even < m else product


def _blocks(n: int) -> list[tuple[int, int]]:
    step = max(1, _BLOCK // n)
    return list(pairwise([*range(0, n, step), n]))


def _mirror(S: NDArray[np.float64]) -> None:
    """Copy what lies above the diagonal of S (n, n) to below it."""
    for start in range(0, len(S), _SQUARE):
        stop = min(start + _SQUARE, len(S))
        S[stop:, start:stop] = S[start:stop, stop:].T
        square = S[start:stop, start:stop]
        np.copyto(square, square.T.copy(), where=_BELOW[: stop - start, : stop - start])
