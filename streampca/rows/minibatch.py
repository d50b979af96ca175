"""A minibatch: checked rows on their way into what is remembered, with all that is known of them.

Knows nothing of where rows come from, and nothing of what becomes of them.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array

Float64 = NDArray[np.float64]


class Squares(NamedTuple):
    """Sums of squares of rows (m, n) on the host, from the check of their entries."""

    total: float  # at least the sum of all squares
    by_feature: Float64 | None = None  # (n,) the sum for each feature, where it is needed


class Look(NamedTuple):
    """What is known of rows (m, n) on a device, from a pass over them that nobody waits for."""

    sums: Array  # (n,) of the rows, on the device
    lengths: Array  # (n,) of the columns, on the device
    total: float  # sum of all squares; infinite or NaN if an entry is, or float32 is too small
    near: bool  # whether means are as near to zero as products without centring need


Known: TypeAlias = "Squares | Look | None"


class Minibatch(NamedTuple):
    """Rows that are folded in at once; immutable, and nobody writes to its arrays.

    Examples
    --------
    >>> batch = Minibatch(np.arange(6.0).reshape(3, 2), weights=np.array([1.0, 3.0, 1.0]))
    >>> batch.n_rows, batch.part(1, 3).weights
    (3, array([3., 1.]))
    """

    X: Array
    """(m, n) finite float32 or float64 (NaN where gaps are imputed): numpy, tensor or csr array."""
    weights: Float64 | None = None
    """(m,) how many copies each row stands for, >= 0; None where each is 1."""
    decay: Float64 | None = None
    """(m,) how much of each row is remembered at the end of the minibatch, in [0, 1]."""
    known: Known = None
    """What a pass over the rows has computed; they need not be read again for it."""

    @property
    def n_rows(self) -> int:
        """Rows m."""
        return int(self.X.shape[0])

    @property
    def equal(self) -> bool:
        """Whether each row counts as 1."""
        return self.weights is None and self.decay is None

    @property
    def is_sparse(self) -> bool:
        """Whether zeros are not stored."""
        return hasattr(self.X, "tocsr")

    @property
    def most(self) -> float:
        """At least the sum of all squares; infinite where that is not known."""
        return inf if self.known is None else self.known.total

    @property
    def n_copies(self) -> float:
        """Rows, a row of weight 3 three times."""
        return self.n_rows if self.weights is None else float(np.maximum(self.weights, 1.0).sum())

    def part(self, start: int, stop: int) -> Minibatch:
        """Rows from one number to another, views; of their squares there is a bound alone."""
        if start == 0 and stop >= self.X.shape[0]:
            return self
        known = self.known
        return Minibatch(
            self._rows(start, stop),
            None if self.weights is None else self.weights[start:stop],
            None if self.decay is None else self.decay[start:stop],
            Squares(known.total) if isinstance(known, Squares) else known,
        )

    def _rows(self, start: int, stop: int) -> Array:
        X = self.X
        if not isinstance(getattr(X, "indptr", None), np.ndarray):
            return X[start:stop]
        pointers = X.indptr[start : stop + 1]
        entries = slice(int(pointers[0]), int(pointers[-1]))
        rows = type(X)((len(pointers) - 1, X.shape[1]), dtype=X.dtype)
        # views, of which the constructor would make copies, as slices of csr arrays do
        rows.data, rows.indices = X.data[entries], X.indices[entries]
        rows.indptr = pointers - pointers[0]
        if X.has_canonical_format:
            rows.has_canonical_format = True
        return rows

    def chosen(self, rows: NDArray[np.int64]) -> Minibatch:
        """Some of the rows, copied."""
        weights, decay = (None if v is None else v[rows] for v in (self.weights, self.decay))
        return Minibatch(self.X[rows], weights, decay, self.known)
