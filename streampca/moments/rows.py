"""A minibatch, centred and weighted: Z with Z'Z = what it adds to the scatter matrix.

Dense rows are centred explicitly; sparse rows implicitly (sparse.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from streampca.arrays import (
    Array,
    cast,
    column_squares,
    dtype_name,
    namespace,
    one_thread,
    to_device,
)
from streampca.moments.pairs import Pairs
from streampca.moments.parts import alike, parts, signed_sums
from streampca.moments.scatter import Scatter
from streampca.moments.unshifted import unshifted

if TYPE_CHECKING:
    from streampca.moments.base import Moments


class CentredRows(Protocol):
    """Z (k, n): the rows about their own mean, times the root of their weights, and one more row.

    That last row is sqrt(w1 w2 / (w1 + w2)) (mean2 - mean1), the term that centres the union of
    the stream so far (w1, mean1) and the minibatch (w2, mean2) exactly; it is missing where the
    stream is empty or is not centred.
    """

    weight: float
    pairs: Pairs
    mean: Array

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


@dataclass
class DenseRows:
    """Centred rows held as an array."""

    weight: float
    pairs: Pairs
    mean: Array
    Z: Array

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


def row_weights(
    m: int, weights: Array | None, decay: Array | None
) -> tuple[float, Pairs, np.ndarray[Any, Any] | None]:
    """Sum of what rows count, their pairs, and what each counts (None: all 1)."""
    if weights is None and decay is None:
        return float(m), Pairs.of_equal(m), None
    w = np.ones(m) if weights is None else np.asarray(weights, "float64")
    v = w if decay is None else w * np.asarray(decay, "float64")
    return float(v.sum()), Pairs.of(w, decay), v


def centre(
    X: Array,
    weights: Array | None,
    decay: Array | None,
    about: Moments,
    squares: Array | None = None,
) -> CentredRows:
    """Centre dense rows (m, n) and join them to what `about` has seen.

    `squares` are what is known of sums of squares, as in `Moments.update`.
    """
    equal = weights is None and decay is None and weighs_as_rows(about.weight)
    if equal and about.device is None and X.dtype == about.dtype:
        implicit = unshifted(X, about, squares)
        if implicit is not None and (about.dtype == "float64" or fits(implicit.total_squares)):
            return implicit
    rows = _centred(X, weights, decay, about, about.dtype)
    if (
        about.dtype == "float32"
        and about.device is None
        and not all_fit(rows.total_squares, rows.Z)
    ):
        rows = _centred(X, weights, decay, about, "float64")
    return rows


def weighs_as_rows(weight: float) -> bool:
    """Whether roots of weights are far inside float32, which ends at 1e-38 and 3e38."""
    return weight == 0 or 1e-30 < weight < 1e30


def fits(squares: float) -> bool:
    """Whether a sum of squares is well inside float32.

    It ends at 3.4e38 and loses digits below 1e-38; the limits leave room for what many
    minibatches add up to, and for single entries far below the largest. Asked on the CPU alone:
    on a device the answer would cost a wait.
    """
    return 1e-24 < squares < 1e30


def all_fit(squares: float, entries: Array) -> bool:
    """Whether products of the entries with each other can be formed in float32."""
    return fits(squares) or (squares == 0 and not entries.any())


def _centred(
    X: Array, weights: Array | None, decay: Array | None, about: Moments, dtype: str
) -> DenseRows:
    """Rows are shifted by the running mean (at the very start by the first row), then by their own.

    The difference of close numbers is exact, so features whose mean is a million times their
    spread keep their digits, and constant features become exact zeros. The mean of what remains
    is small, and a product with ones finds it at the price of reading the rows once.
    """
    xp = namespace(X)
    m = X.shape[0]
    total, pairs, w = row_weights(m, weights, decay)
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
        shift = cast(mean if about.weight > 0 else X[0], dtype)
        with np.errstate(over="ignore"):  # rows outside float32 are seen by all_fit
            xp.subtract(X, shift, out=Z)
        if total > 0:
            ones = xp.ones_like(Z[:, 0]) if w is None else cast(w, dtype)
            with one_thread():  # a pass over memory: a second thread saves little
                offset = (ones @ Z) * (1.0 / total)  # (n,) the minibatch's mean, less the shift
            Z -= offset
            mean = cast(shift, "float64") + cast(offset, "float64")
    if w is not None:
        Z *= cast(xp.sqrt(w), dtype)[:, None]
    if joined:
        root = (about.weight * total / (about.weight + total)) ** 0.5
        buffer[m] = cast((mean - about._mean) * root, dtype)
    return DenseRows(total, pairs, mean, buffer)
