"""Dense rows centred in products, not one by one: X V - 1 (mean' V) instead of (X - 1 mean') V.

Two passes over memory less, which at 10 components is a quarter of all that is done. In exchange
rounding errors are those of numbers of the size of the mean; so it is for features whose mean is
of the size of their spread, and all others go the explicit way (centre.py).

On the CPU, where asking costs nothing, `near_zero` asks as it goes. On a device the host decides by
numbers that a check of the rows has brought back while it did something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from streampca.arrays import (
    Array,
    cast,
    column_squares,
    dtype_name,
    empty,
    is_tensor,
    namespace,
    torch,
)
from streampca.moments.pairs import Pairs, joint
from streampca.moments.parts import alike, one_less, ones, parts, signed_sums
from streampca.moments.scatter import Scatter
from streampca.moments.stream import Stream
from streampca.rows import Known, Look

NEAR = 2.0
"""Standard deviations that a mean may be away from zero, and a minibatch's from the stream's:
products are then at most (1 + 4**2)**0.5 times as large as centred ones, two of 24 bits."""

SAFE = 1e30
"""A sum of squares below which a bound that is several times too large refuses nothing."""

_FEW = 64
"""Features whose means are compared with the spread in the minibatch alone, at most."""


class Unformed:
    """Z made of rows X and, where there is one, the row that joins them to those before."""

    X: Any  # (m, n)
    between: Any  # (n,) or None

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0]) + (self.between is not None)

    @property
    def dtype(self) -> str:
        return dtype_name(self.X)

    def densified(self, start: int, stop: int) -> Array:
        """Rows start to stop of Z as an array."""
        raise NotImplementedError

    def few(self) -> Array:
        """All rows of Z as an array, or one less with the same Z'Z."""
        return one_less(self.densified(0, self.n_rows), int(self.X.shape[0]))


@dataclass
class ImplicitRows(Unformed):
    """Z = [X - 1 mean'; between] of equal rows, never formed; numpy and torch alike."""

    mean: Array  # (n,) the minibatch's own, zero where rows are not centred
    X: Array  # (m, n)
    between: Array | None  # (n,) float64

    @property
    def weight(self) -> float:
        return float(self.X.shape[0])

    @property
    def pairs(self) -> Pairs:
        return Pairs.of_equal(self.weight)

    @cached_property
    def about_zero(self) -> Array:
        """Sums of squares of X, (n,)."""
        return column_squares(self.X)

    @cached_property
    def squares(self) -> Array:
        xp: Any = namespace(self.about_zero)
        squares = xp.clip(self.about_zero - self.weight * self.mean**2, 0.0, None)
        return squares if self.between is None else squares + self.between**2

    @cached_property
    def total_squares(self) -> float:
        if "about_zero" in self.__dict__:
            return float(self.squares.sum())
        return float(np.vdot(self.X, self.X)) - self.weight * float(self.mean @ self.mean)

    @cached_property
    def _corrections(self) -> Array:
        """Minus the mean, and `between`: (2, n) or (1, n) in the dtype of the rows."""
        vectors = [-self.mean] if self.between is None else [-self.mean, self.between]
        return cast(namespace(self.mean).stack(vectors), self.dtype)

    def project(self, V: Array) -> Array:
        m = self.X.shape[0]
        X, _ = alike(self.X, V)
        C, V = alike(self._corrections, V)
        corrections = C @ V
        place = str(V.device) if is_tensor(V) else None
        H = empty((self.n_rows, V.shape[1]), dtype_name(corrections), place)
        namespace(V).matmul(X, V, out=H[:m])
        H[:m] += corrections[0]
        H[m:] = corrections[1:]
        return H

    def combine(self, H: Array) -> Array:
        X, H = alike(self.X, H)
        C, _ = alike(self._corrections, H)
        return _product_and_few(X, C, H)

    def combined(self, signs: Array, count: int) -> Array:
        m, C = self.X.shape[0], self._corrections
        sums, totals = signed_sums(signs[:m], self.X, parts(self.n_rows, count))
        sums += C[0][:, None] * totals
        if self.between is not None:
            sums[:, -1] += C[1] * signs[m]
        return sums

    def add_scatter(self, S: Scatter) -> None:
        # not weight in one of the two: the answer is symmetric to the bit
        xp = namespace(self.mean)
        vectors = [self.mean * self.weight**0.5]
        if self.between is not None:
            vectors.append(self.between)
        C = cast(xp.stack(vectors), S.dtype_of(self.X))
        signed = C * 1.0
        signed[0] *= -1.0
        S.add_rows(self.X, signed, C)

    def densified(self, start: int, stop: int) -> Array:
        m, C = self.X.shape[0], self._corrections
        Z = self.X[start : min(stop, m)] + C[0]
        if stop > m and self.between is not None:
            Z = namespace(Z).concatenate([Z, C[1:]])
        return Z


def _product_and_few(X: Array, C: Array, H: Array) -> Array:
    """X' H0 + C' [sums of H0; H1], where H0 stands beside the rows of X and H1 below: (n, p)."""
    m = X.shape[0]
    if is_tensor(X):
        return torch.addmm(X.T @ H[:m], C.T, torch.cat([H[:m].sum(dim=0)[None], H[m:]]))
    G = X.T @ H[:m]
    G += C.T @ np.concatenate([np.ones(m, H.dtype)[None] @ H[:m], H[m:]])
    return G


# --- on the host ---------------------------------------------------------------------------------


def near_zero(X: Array, known: Known, about: Stream) -> ImplicitRows | None:
    """Rows (m, n) of weight 1, joined to what `about` has seen; None where means are large."""
    m = float(X.shape[0])
    if about.center:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = (ones(X.shape[0], dtype_name(X)) @ X).astype("float64") / m
        if not np.isfinite(mean).all():  # a sum that single precision does not hold
            return None
    else:
        mean = np.zeros(X.shape[1])
    rows = ImplicitRows(mean, X, None)
    if known is not None and not isinstance(known, Look):
        if known.by_feature is not None:
            rows.about_zero = known.by_feature
        elif known.total < SAFE:  # for the use of their sum, a bound does
            rows.total_squares = known.total
    if not about.center:
        return rows
    if about.weight == 0:
        return rows if near(mean, rows.about_zero / m).all() else None
    step = mean - about._mean
    reach = about._scatter_diagonal * (NEAR**2 / about.denominator)
    beyond = np.maximum(mean * mean, step * step) > reach
    if about.keeps_squares:
        _ = rows.about_zero  # before their sum: one pass for both
    if beyond.any():
        far = np.flatnonzero(beyond)
        if far.size > _FEW:
            return None
        # features that were silent so far
        squares = rows.about_zero[far] if about.keeps_squares else column_squares(X[:, far])
        if not near(mean[far], squares / m).all():
            return None
    rows.between = step * joint(about.weight, m) ** 0.5
    return rows


def near(mean: Array, mean_square: Array) -> Array:
    """Whether means are near zero by the spread of the rows themselves, for each feature."""
    return mean**2 <= NEAR**2 * (mean_square - mean**2)


# --- on a device ---------------------------------------------------------------------------------


def look(X: torch.Tensor, sums: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Write `sums` and `lengths`, and return `total` and `near` (2,), still on the device."""
    torch.sum(X, dim=0, out=sums)
    torch.linalg.vector_norm(X, dim=0, out=lengths)
    squares, m = lengths.double() ** 2, X.shape[0]
    return torch.stack([squares.sum(), near(sums.double() / m, squares / m).all().double()])


def looked_at(X: Array, look: Look, about: Stream) -> ImplicitRows:
    """Rows (m, n) of weight 1 whose means are known to be near zero, joined to `about`'s."""
    if about.center:
        mean = cast(look.sums, "float64") / float(X.shape[0])
    else:
        mean = torch.zeros_like(about._mean)
    rows = ImplicitRows(mean, X, about.between(mean, float(X.shape[0])))
    rows.about_zero = cast(look.lengths, "float64") ** 2
    return rows
