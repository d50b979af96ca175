"""How rows are centred: Z with Z'Z = what a minibatch adds to the scatter matrix.

Dense rows are centred explicitly where means are large, else in products (implicit.py), and sparse
rows in products always (sparse.py). This file says which, and is told nothing of Sigma.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from streampca.arrays import (
    Array,
    cast,
    column_parts,
    column_squares,
    dtype_name,
    namespace,
    one_thread,
    to_device,
)
from streampca.moments.implicit import looked_at, near_zero
from streampca.moments.outer import crowded
from streampca.moments.pairs import Pairs, row_weights
from streampca.moments.parts import alike, one_less, parts, signed_sums
from streampca.moments.precision import all_fit, fits, weighs_as_rows
from streampca.moments.scatter import Scatter
from streampca.moments.sparse import centre_sparse
from streampca.moments.stream import Stream
from streampca.rows import Look, Minibatch

_FEW_ROWS = 16
"""Rows up to which the passes that products save cost less than to find out whether they may: two
rows of 300 features took 130 microseconds, and take 80."""


class CentredRows(Protocol):
    """Z (k, n): the rows about their own mean, times the root of their weights, and one more row.

    That last row is sqrt(w1 w2 / (w1 + w2)) (mean2 - mean1), the term that centres the union of
    the stream so far (w1, mean1) and the minibatch (w2, mean2) exactly; it is missing where the
    stream is empty or is not centred.
    """

    @property
    def weight(self) -> float:
        """Sum of what the rows count."""
        ...

    @property
    def pairs(self) -> Pairs:
        """Their pairs."""
        ...

    @property
    def mean(self) -> Array:
        """Their mean, (n,) float64."""
        ...

    @property
    def squares(self) -> Array:
        """Per-feature sum of squares of Z, (n,) float64."""
        ...

    @property
    def total_squares(self) -> float:
        """Sum of all squares of Z; asked on the CPU alone."""
        ...

    @property
    def n_rows(self) -> int:
        """Rows of Z, k."""
        ...

    @property
    def dtype(self) -> str:
        """Type in which products with Z are formed."""
        ...

    def project(self, V: Array) -> Array:
        """Z @ V, (k, p)."""
        ...

    def combine(self, H: Array) -> Array:
        """Z' @ H, (n, p)."""
        ...

    def combined(self, signs: Array, count: int) -> Array:
        """Signed sums of the rows of Z, each row in one of them, (n, count)."""
        ...

    def add_scatter(self, S: Scatter) -> None:
        """S += Z' @ Z, (n, n): where an n x n array is no more than is held."""
        ...

    def densified(self, start: int, stop: int) -> Array:
        """Rows start to stop of Z as an array; for a few rows at a time."""
        ...

    def few(self) -> Array:
        """All rows of Z as an array, or one less with the same Z'Z."""
        ...


@dataclass
class DenseRows:
    """Centred rows held as an array."""

    weight: float
    pairs: Pairs
    mean: Array
    Z: Array
    n_own: int  # rows of the minibatch itself

    @cached_property
    def squares(self) -> Array:
        return column_squares(self.Z)

    @cached_property
    def total_squares(self) -> float:
        return float(np.vdot(self.Z, self.Z))  # BLAS: it overflows without a warning

    @property
    def n_rows(self) -> int:
        return int(self.Z.shape[0])

    @property
    def dtype(self) -> str:
        return dtype_name(self.Z)

    def project(self, V: Array) -> Array:
        Z, V = alike(self.Z, V)
        return Z @ V

    def combine(self, H: Array) -> Array:
        Z, H = alike(self.Z, H)
        return Z.T @ H

    def combined(self, signs: Array, count: int) -> Array:
        return signed_sums(signs, self.Z, parts(self.n_rows, count))[0]

    def add_scatter(self, S: Scatter) -> None:
        S.add_rows(self.Z, self.Z[:0], self.Z[:0])

    def densified(self, start: int, stop: int) -> Array:
        return self.Z[start:stop]

    def few(self) -> Array:
        return one_less(self.Z, self.n_own)


def centred(batch: Minibatch, about: Stream) -> CentredRows:
    """Centre the rows of a minibatch and join them to what `about` has seen."""
    if not batch.is_sparse:
        return _of_dense(batch, about)
    X = batch.X.tocsr()
    if about.device is None and batch.n_rows > 1 and not crowded(X):
        return centre_sparse(batch._replace(X=X), about)
    # Rows of many entries are faster so. Sparse kernels on devices differ too much; callers bound
    # the number of rows. And one row about itself is exactly zero only where it is subtracted
    if about.device is not None:
        return _of_dense(batch._replace(X=X.toarray(), known=None), about)
    memory = about.scratch(batch.n_rows + 1, dtype_name(X))[:-1]
    return _of_dense(batch._replace(X=X.toarray(out=memory)), about, again=X.toarray)


def _of_dense(
    batch: Minibatch, about: Stream, again: Callable[[], Array] | None = None
) -> CentredRows:
    """Centre dense rows; `again` makes them anew where they lie in the memory to work in."""
    equal = batch.equal and weighs_as_rows(about.weight)
    if batch.n_rows == 1 and about.device is None and about.center and about.weight > 0:
        return _of_one(batch, about)
    if isinstance(batch.known, Look):
        total = batch.known.total
        dtype = about.dtype if fits(total) or total == 0 else "float64"
        if equal and batch.known.near and dtype == about.dtype == dtype_name(batch.X):
            return looked_at(batch.X, batch.known, about)
        return _explicitly(batch, about, dtype)
    batch = batch._replace(X=to_device(batch.X, about.device))
    many = batch.n_rows > _FEW_ROWS
    if many and equal and about.device is None and batch.X.dtype == about.dtype:
        implicit = near_zero(batch.X, batch.known, about)
        if implicit is not None and (about.dtype == "float64" or fits(implicit.total_squares)):
            return implicit
    rows = _explicitly(batch, about, about.dtype)
    # on a device the answer would cost a wait
    asked = about.dtype == "float32" and about.device is None
    if asked and not all_fit(rows.total_squares, rows.Z):
        batch = batch if again is None else batch._replace(X=again())
        return _explicitly(batch, about, "float64")
    return rows


def _of_one(batch: Minibatch, about: Stream) -> DenseRows:
    """One row, joined to those before: about its own mean, which is itself, it is exactly zero."""
    total, pairs, _ = row_weights(1, batch.weights, batch.decay)
    mean = batch.X[0].astype("float64")
    between = about.between(mean, total)
    Z = np.zeros((0, len(mean))) if between is None else between[None]
    squares = float(np.vdot(Z, Z))
    weighs = weighs_as_rows(total) and weighs_as_rows(about.weight)
    if about.dtype == "float32" and weighs and all_fit(squares, Z):
        Z = Z.astype("float32")
    rows = DenseRows(total, pairs, mean, Z, 0)
    rows.total_squares = squares
    return rows


def _explicitly(batch: Minibatch, about: Stream, dtype: str) -> DenseRows:
    """Rows are shifted by the running mean (at the very start by the first row), then by their own.

    The difference of close numbers is exact, so features whose mean is a million times their
    spread keep their digits, and constant features become exact zeros. The mean of what remains
    is small, and a product with ones finds it at the price of reading the rows once.
    """
    X, m = batch.X, batch.n_rows
    xp = namespace(X)
    total, pairs, w = row_weights(m, batch.weights, batch.decay)
    joined = about.center and about.weight > 0 and total > 0
    if (joined and not weighs_as_rows(about.weight)) or not weighs_as_rows(total):
        dtype = "float64"
    buffer = about.scratch(m + joined, dtype)  # (m + 1, n)
    Z = buffer[:m]
    w = None if w is None else to_device(w, about.device)
    mean = about._mean
    if not about.center:
        Z[:] = X
    else:
        shift = cast(mean if about.weight > 0 else X[0] * 1, dtype)  # X may be in the buffer
        # rows, and sums, outside float32 are seen by all_fit
        with np.errstate(over="ignore", invalid="ignore"):
            for columns in column_parts(X):
                xp.subtract(X[:, columns], shift[columns], out=Z[:, columns])
            if total > 0:
                ones = xp.ones_like(Z[:, 0]) if w is None else cast(w, dtype)
                with one_thread():  # a pass over memory: a second thread saves little
                    offset = (ones @ Z) * (1.0 / total)  # (n,) the minibatch's mean, less the shift
                Z -= offset
                mean = cast(shift, "float64") + cast(offset, "float64")
    if w is not None:
        Z *= cast(xp.sqrt(w), dtype)[:, None]
    between = about.between(mean, total)
    if between is not None:
        buffer[m] = cast(between, dtype)
    return DenseRows(total, pairs, mean, buffer, m)
