"""Sums of the rows of minibatches that come in parts, so that their rows need not wait.

They are the same to the bit whichever parts come together. Rows are passed over while they lie in
the cache of a core: for their means and for their products at once. They are not centred for it
where their means are near zero: what is left of these is taken out of the products (implicit.py
says how near that must be). Features of a part whose mean is further away are shifted by it.
Knows neither who cuts the parts nor what is remembered of other rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import writeable
from streampca.moments.implicit import NEAR, SAFE
from streampca.moments.parts import ones
from streampca.moments.precision import fits
from streampca.moments.scatter import SUMMED
from streampca.moments.stream import Stream

PART = SUMMED
"""Rows of a part."""

NARROW = 256
"""Features below which a part and its products both stay in the cache."""

_TOGETHER = 2**20
"""Numbers of the parts that are passed over at once, 4 MiB or 8: fewer take more calls of numpy,
and each of them finds a cold cache behind a product."""

_AT_ONCE = 64
"""Parts that are passed over at once, at most."""

_ROWS = 16
"""Rows that are shifted as if they were one: numpy takes a while to begin with the next."""

_CLOSER = 0.25
"""Share of what is near at most (half a standard deviation) that shifted rows may be away from the
mean: parts of rows that go on as they were are, and a step in between costs no digit."""


class _Far(NamedTuple):
    """Parts whose own means were taken out, in the order they came in."""

    n_rows: NDArray[np.int64]  # (k,)
    shifts: NDArray[Any]  # (k, n)
    totals: NDArray[Any]  # (k, n) of shifted rows


class Tally:
    """Sums of parts of 1,024 rows: of their rows, and of their products.

    Parameters
    ----------
    about : Stream
        What was seen before: it says what is near. It is not held.
    n_parts : int
        Parts that are likely to be added at once.
    """

    def __init__(self, about: Stream, n_parts: int) -> None:
        n, self._dtype = about.n_features, about.dtype
        n_parts = min(n_parts, _AT_ONCE, max(1, _TOGETHER // (PART * n)))
        self._rounding = float(np.finfo(about.dtype).eps)
        self._sums, self._products = np.empty(n), np.empty((n, n))
        self._n_parts = n_parts
        self._make_room()
        self.begin(about)

    def _make_room(self) -> None:
        """Memory to work in, for so many parts at once."""
        k, n = self._n_parts, len(self._sums)
        self._totals = np.empty((k, n), self._dtype)
        self._parts = np.empty((k, n, n), self._dtype)
        self._room: NDArray[Any] | None = None  # for shifted rows

    def begin(self, about: Stream) -> None:
        """Have seen no rows; in memory that is there, whose fresh pages would take their time."""
        self.n_rows = self._n_alike = 0
        self._sums[:] = 0.0
        self._products[:] = 0.0
        self._far: list[_Far] = []
        self._shift: NDArray[Any] | None = None  # that of all parts; unset until rows come
        self._half: NDArray[np.float64] | None = None  # of means that are near; None: not known
        self._centre = about.center
        if not (about.center and about.weight > 0):
            return
        mean, reach = about._mean, about._scatter_diagonal * (NEAR**2 / about.denominator)
        zero = np.zeros_like(mean)
        if (mean * mean > reach).any():
            self._set_shift(mean.astype(self._dtype), reach**0.5 * _CLOSER)
        else:  # what is near lies between two numbers: means of all parts are compared at once
            low, high = np.maximum(zero, mean) - reach**0.5, np.minimum(zero, mean) + reach**0.5
            self._middle, self._half = (high + low) * 0.5, (high - low) * 0.5

    def _set_shift(self, shift: NDArray[Any], reach: NDArray[np.float64]) -> None:
        self._shift, self._middle, self._half = shift, shift.astype("float64"), reach

    @property
    def _base(self) -> NDArray[Any] | float:
        return 0.0 if self._shift is None else self._shift

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the rows, (n,)."""
        return np.asarray(self._means()[0] + self._base)

    def _means(self) -> tuple[NDArray[np.float64], _Far | None]:
        """Mean of the rows less the shift of all, (n,), and the parts that have their own."""
        if not self._far:
            return self._sums / self.n_rows, None
        far = _Far(*map(np.concatenate, zip(*self._far, strict=True)))
        far = far._replace(shifts=np.subtract(far.shifts, self._base, dtype="float64"))
        total = self._sums + far.totals.sum(axis=0, dtype="float64") + far.n_rows @ far.shifts
        return total / self.n_rows, far

    def products(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums of products (n, n), and the mean of the rows that they are of and not about, (n,).

        With m rows, m mean mean' less than these are the products about the mean.
        """
        mean, far = self._means()
        if far is None:
            return self._products, mean
        counts = np.concatenate([[self._n_alike], far.n_rows])
        left = np.vstack([self._sums, far.totals]) / np.maximum(counts, 1)[:, None]
        away = left - mean
        away[1:] += far.shifts
        roots = np.sqrt(counts)[:, None]
        left, away = roots * left, roots * away
        return self._products - left.T @ left + away.T @ away, np.zeros_like(mean)

    def add(self, X: NDArray[Any]) -> int:
        """Add rows (m, n) of weight 1, part by part, as long as they are fit for it; how many.

        They are if sums of squares are well inside their type. What is left of X behind its last
        complete part is a part, too, and the last.
        """
        whole, room, done = len(X) - len(X) % PART, len(self._parts) * PART, 0
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, whole, room):
                some = X[start : min(start + room, whole)]
                if done == start:
                    done += self._add_parts(some.reshape(-1, PART, X.shape[1]))
            if done == whole < len(X):
                done += self._add_parts(X[None, whole:])
        return done

    def _add_parts(self, X: NDArray[Any]) -> int:
        """Add parts (k, m, n), as long as they are fit for it; how many rows."""
        k, m = map(int, X.shape[:2])
        totals, products, along = self._totals[:k], self._parts[:k], ones(m, self._dtype)
        shifts = far = None
        np.matmul(along, X, out=totals)
        if self._centre:
            shifts, far = self._shifts(totals, X)
        if shifts is not None:
            X = self._shifted(X, shifts)
            np.matmul(along, X, out=totals)
        np.matmul(X.transpose(0, 2, 1), X, out=products)
        fit = self._n_fit(products)
        for product in products[:fit]:
            self._products += product
        self.n_rows += fit * m
        alike = totals[:fit]
        if shifts is not None and far is not None:
            far, some = far[:fit], (np.full(fit, m), shifts[:fit], alike)
            self._far.append(_Far(*(each[far] for each in some)))
            alike = alike[~far]
        self._n_alike += m * len(alike)
        for total in alike:
            self._sums += total
        return fit * m

    def _n_fit(self, products: NDArray[Any]) -> int:
        """How many parts come before the first whose squares are not well inside their type."""
        k, n = map(int, products.shape[:2])
        squares = products.reshape(k, n * n)[:, :: n + 1].sum(axis=1).tolist()
        single = self._dtype == "float32"
        for i, each in enumerate(squares):
            if not each < SAFE or (single and not fits(each)):
                return i
        return k

    def _shifts(
        self, totals: NDArray[Any], X: NDArray[Any]
    ) -> tuple[NDArray[Any] | None, NDArray[np.bool_] | None]:
        """What to shift parts (k, m, n) with these sums by, and which by their own means, (k,).

        By nothing (None), or all by the same (n,), where all means are near it; or each (k, n). A
        mean is as wrong as its sum is rounded. Where the first row is as near, it is taken: it is
        exact where nothing varies.
        """
        m, first = X.shape[1], X[:, 0]
        if self._half is None:
            self._set_shift(first[0].copy(), np.zeros(len(first[0])))
        means = np.divide(totals, m, dtype="float64")
        away = means - self._middle
        beyond = np.abs(away, out=away) > self._half
        if not np.count_nonzero(beyond):
            return self._shift, None
        rounded = np.abs(means - first) <= np.abs(means) * (m * self._rounding)
        own = np.where(rounded, first, means)
        return np.where(beyond, own, self._base).astype(self._dtype), beyond.any(axis=1)

    def _shifted(self, X: NDArray[Any], by: NDArray[Any]) -> NDArray[Any]:
        if self._room is None:
            self._room = np.empty(self._totals.size * PART, X.dtype)
        Z: NDArray[Any] = self._room[: X.size].reshape(X.shape)
        k, m, n = X.shape
        by = by.reshape(-1, 1, n)
        if X.flags.c_contiguous and m % _ROWS == 0:
            by = np.repeat(by, _ROWS, axis=1).reshape(-1, 1, _ROWS * n)
            X = X.reshape(k, -1, _ROWS * n)
        np.subtract(X, by, out=Z.reshape(X.shape))
        return Z

    def __getstate__(self) -> dict[str, Any]:
        work = ("_totals", "_parts", "_room")
        return {name: value for name, value in self.__dict__.items() if name not in work}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {name: writeable(value) for name, value in state.items()}
        self._make_room()
