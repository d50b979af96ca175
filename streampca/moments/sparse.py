"""Sparse rows, centred implicitly: what is not stored is never made dense as a whole.

Implicit centring takes products of means away from products of rows, which loses what rows have in
common. Only columns that every row stores can have a mean far above their spread: one entry that
is not stored, a zero, is as far away as the mean is. So these columns are shifted by one of the
rows first, which keeps all that is not stored at zero and makes small numbers of large ones
exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from streampca.arrays import Array, cast, dtype_name, to_device
from streampca.moments.pairs import Pairs
from streampca.moments.parts import parts
from streampca.moments.rows import CentredRows, all_fit, centre, row_weights
from streampca.moments.scatter import Scatter
from streampca.moments.unshifted import Unformed

if TYPE_CHECKING:
    from streampca.moments.base import Moments

_PIECE = 512
"""Rows of which Z'Z is formed at once where they are dense enough for that."""

_DENSE, _FEW = 0.02, 64
"""Share of entries stored from which products of rows made dense, a piece at a time, are faster
than sparse ones, and rows up to which they always are: n x n arrays are passed over less often."""


@dataclass
class SparseRows(Unformed):
    """Sparse rows X with Z = [W^(1/2) (X - 1 shift'); between], never formed."""

    weight: float
    pairs: Pairs
    mean: Array  # (n,) the minibatch's own
    shift: Array  # (n,) what X is centred about: its mean, or zero
    X: Any  # csr array (m, n), full columns shifted by one of the rows
    root: Array  # (m,) root of the rows' weights
    between: Array | None  # (n,)
    full: Array  # (n,) whether every row has a number there

    @cached_property
    def squares(self) -> Array:
        """Sums of squares, of which none is taken away: they are never negative."""
        X, n = self.X, len(self.shift)
        w = np.repeat(self.root**2, np.diff(X.indptr))  # (nnz,)
        D = X.data.astype("float64") - self.shift[X.indices]
        squares = np.bincount(X.indices, w * D * D, n).astype("float64")  # integers if empty
        stored = np.bincount(X.indices, w, n)
        rest = np.where(self.full, 0.0, np.clip(self.weight - stored, 0.0, None))
        squares += rest * self.shift**2  # of zeros that are not stored
        return squares if self.between is None else squares + self.between**2

    @property
    def total_squares(self) -> float:
        return float(self.squares.sum())

    def project(self, V: Array) -> Array:
        H = (self.X @ V - cast(self.shift, dtype_name(V)) @ V) * self.root[:, None]
        if self.between is not None:
            H = np.concatenate([H, (self.between @ V)[None]])
        return H.astype(V.dtype, copy=False)

    def combine(self, H: Array) -> Array:
        m = self.X.shape[0]
        weighted = H[:m] * self.root[:, None]
        G = self.X.T @ weighted - np.outer(self.shift, weighted.sum(axis=0))
        if self.between is not None:
            G += np.outer(self.between, H[m])
        return G.astype(H.dtype, copy=False)

    def combined(self, signs: Array, count: int) -> Array:
        H = np.zeros((self.n_rows, count), signs.dtype)
        for column, part in enumerate(parts(self.n_rows, count)):
            H[part, column] = signs[part]
        return self.combine(H)

    def add_scatter(self, S: Scatter) -> None:
        m, n = self.X.shape
        if m <= _FEW or self.X.nnz >= _DENSE * m * n:
            for start in range(0, self.n_rows, _PIECE):
                Z = cast(self.densified(start, start + _PIECE), self.dtype)
                S.add_rows(Z, Z[:0], Z[:0])
            return
        X = self.X.astype("float64")
        weighted = X.multiply(self.root[:, None] ** 2).tocsr()
        added = np.asarray((X.T @ weighted).todense())
        added -= self.weight * np.outer(self.shift, self.shift)
        S.whole += added if self.between is None else added + np.outer(self.between, self.between)

    def densified(self, start: int, stop: int) -> Array:
        m = self.X.shape[0]
        Z = (self.X[start : min(stop, m)].toarray() - self.shift) * self.root[start:stop, None]
        if stop > m and self.between is not None:
            Z = np.concatenate([Z, self.between[None]])
        return Z


def centre_sparse(
    X: Any, weights: Array | None, decay: Array | None, about: Moments
) -> CentredRows:
    """Centre sparse rows (m, n) implicitly and join them to what `about` has seen."""
    if about.device is not None or X.shape[0] == 1:
        # sparse kernels on devices differ too much; callers bound the number of rows. And one row
        # about itself is exactly zero only where it is subtracted
        return centre(to_device(X.toarray(), about.device), weights, decay, about)
    m, n = X.shape
    total, pairs, w = row_weights(m, weights, decay)
    w = np.ones(m) if w is None else w
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if about.dtype == "float64":
        X = X.astype("float64", copy=False)
    full = np.bincount(X.indices, minlength=n) == m
    origin = np.zeros(n)
    if about.center and full.any():
        origin = np.where(full, X[[int(w.argmax())]].toarray()[0].astype("float64"), 0.0)
    shifted = _shifted(X, origin)
    if X.dtype != "float64" and not all_fit(
        float(np.vdot(shifted.data, shifted.data)), shifted.data
    ):
        shifted = _shifted(X.astype("float64"), origin)
    mean, shift, between = about._mean, np.zeros(n), None
    if about.center and total > 0:
        shift = np.asarray(shifted.T.astype("float64") @ w).ravel() / total
        mean = origin + shift
        if about.weight > 0:
            joined = (about.weight * total / (about.weight + total)) ** 0.5
            between = (mean - about._mean) * joined
    return SparseRows(total, pairs, mean, shift, shifted, np.sqrt(w), between, full)


def _shifted(X: Any, origin: Array) -> Any:
    """X less `origin` (n,) in the columns where that is not zero, all of whose entries are stored.

    The difference of close numbers is exact.
    """
    if not origin.any():
        return X
    with np.errstate(over="ignore"):  # outside float32: the caller sees it
        data = X.data - origin.astype(X.dtype)[X.indices]
    return type(X)((data, X.indices, X.indptr), shape=X.shape)
