"""Sparse rows, centred implicitly: entries that are not stored are never made dense all at once.

Implicit centring takes products of means away from products of rows, which loses what rows have in
common. Only columns that every row stores can have a mean far above their spread: one entry that
is not stored, a zero, is as far away as the mean is. So these columns are shifted by one of the
rows first, which keeps all that is not stored at zero and makes small numbers of large ones
exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from streampca.arrays import Array, cast, dtype_name
from streampca.moments.implicit import Unformed
from streampca.moments.pairs import Pairs, row_weights
from streampca.moments.parts import parts
from streampca.moments.precision import all_fit
from streampca.moments.scatter import Scatter
from streampca.moments.stream import Stream
from streampca.rows import Minibatch

_BLOCK = 2**15
"""Numbers that are worked on at once where features are many: they stay in the cache of a core."""

_SAFE = 1e30
"""A sum of squares below which a bound that is some times too large refuses nothing."""


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
        rest = np.where(self.full, 0.0, _weight_of_gaps(X, self.root**2))
        squares += rest * self.shift**2  # of zeros that are not stored
        return squares if self.between is None else squares + self.between**2

    @property
    def total_squares(self) -> float:
        X, most = self.X, 0.0
        if "squares" not in self.__dict__:  # about zero they are no less, and fast to have
            values = X.data * np.repeat(self.root, np.diff(X.indptr))
            most = float(np.vdot(values, values))
            most += 0.0 if self.between is None else float(np.vdot(self.between, self.between))
        return most if 0.0 < most < _SAFE else float(self.squares.sum())

    def project(self, V: Array) -> Array:
        H = (self.X @ V - cast(self.shift, dtype_name(V)) @ V) * self.root[:, None]
        if self.between is not None:
            H = np.concatenate([H, (self.between @ V)[None]])
        return H.astype(V.dtype, copy=False)

    def combine(self, H: Array) -> Array:
        m = self.X.shape[0]
        weighted = H[:m] * self.root[:, None]
        vectors, factors = [self.shift], [-weighted.sum(axis=0)]
        if self.between is not None:
            vectors, factors = [*vectors, self.between], [*factors, H[m]]
        return _with_outer(self.X.T @ weighted, np.array(vectors), np.array(factors), H.dtype)

    def combined(self, signs: Array, count: int) -> Array:
        H = np.zeros((self.n_rows, count), signs.dtype)
        for column, part in enumerate(parts(self.n_rows, count)):
            H[part, column] = signs[part]
        return self.combine(H)

    def add_scatter(self, S: Scatter) -> None:
        X = self.X
        if (self.root != 1.0).any():
            data = X.data * np.repeat(self.root, np.diff(X.indptr))
            X = type(X)((data, X.indices, X.indptr), shape=X.shape)
        shifts = [] if not self.shift.any() else [self.shift]
        joins = [] if self.between is None else [self.between]
        V = np.array([*shifts, *joins]).reshape(-1, len(self.shift))
        S.add_sparse(X, np.array([*(-self.weight * s for s in shifts), *joins]).reshape(V.shape), V)

    def densified(self, start: int, stop: int) -> Array:
        m = self.X.shape[0]
        Z = (self.X[start : min(stop, m)].toarray() - self.shift) * self.root[start:stop, None]
        if stop > m and self.between is not None:
            Z = np.concatenate([Z, self.between[None]])
        return Z


def _with_outer(G: Array, vectors: Array, factors: Array, dtype: Any) -> Array:
    """G (n, p) plus vectors' (k, n) factors (k, p), in another type: one pass over memory."""
    n, p = G.shape
    made, step = np.empty((n, p), dtype), max(1, _BLOCK // p)
    for start in range(0, n, step):
        part = slice(start, start + step)
        made[part] = G[part] + vectors[:, part].T @ factors
    return made


_ALIKE = 10
"""Binary digits by which weights that are added up together may differ."""


def _weight_of_gaps(X: Any, w: Array) -> Array:
    """Weight of the rows that store nothing in each column, (n,); w (m,) are the rows' weights.

    It is what the rows' sum is more than that of those with an entry. Beside a row of weight 1e6
    such a difference has few digits left, so rows of much the same weight are added up apart.
    """
    gaps, counts = np.zeros(X.shape[1]), np.diff(X.indptr)
    sizes = np.frexp(w)[1] // _ALIKE
    for size in np.unique(sizes[w > 0]):
        part = np.where((sizes == size) & (w > 0), w, 0.0)
        there = np.repeat(part, counts)
        stored = np.bincount(X.indices, there, X.shape[1])
        # two sums of all of them may differ by their rounding
        some = np.bincount(X.indices[there > 0], minlength=X.shape[1]) < np.count_nonzero(part)
        gaps += np.where(some, np.clip(part.sum() - stored, 0.0, None), 0.0)
    return gaps


def centre_sparse(batch: Minibatch, about: Stream) -> SparseRows:
    """Centre csr rows (m, n) on the host and join them to what `about` has seen."""
    X = batch.X
    m, n = X.shape
    total, pairs, w = row_weights(m, batch.weights, batch.decay)
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
    mean, shift = about._mean, np.zeros(n)
    if about.center and total > 0:
        each = shifted.data * np.repeat(w, np.diff(shifted.indptr))
        shift = np.bincount(shifted.indices, each, n).astype("float64") / total  # ints if empty
        mean = origin + shift
    between = about.between(mean, total)
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
