"""Sums of the rows of minibatches that come in parts, so that their rows need not wait.

They are the same to the bit whichever parts come together. Rows are passed over while they lie in
the cache of a core: for their means and for their products at once. They are not centred for it
where their means are near zero: what is left of these is taken out of the products (implicit.py
says how near that must be). Features of a part whose mean is further away are shifted by it.
Knows neither who cuts the parts nor what is remembered of other rows.
"""

from __future__ import annotations

from typing import Any

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

_TOGETHER = 2**17
"""Numbers of the parts that are passed over at once, 512 KiB or 1 MiB."""

_AT_ONCE = 64
"""Parts whose products are held at once, at most."""

_CLOSER = 0.25
"""Share of what is near at most (half a standard deviation) that shifted rows may be away from the
mean: parts of rows that go on as they were are, and a step in between costs no digit."""


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
        n_parts = min(n_parts, _AT_ONCE)
        self._sums, self._products = np.empty(n), np.empty((n, n))
        self._totals = np.empty((n_parts, n), about.dtype)
        self._parts = np.empty((n_parts, n, n), about.dtype)
        self._room: NDArray[Any] | None = None  # for shifted rows
        self.begin(about)

    def begin(self, about: Stream) -> None:
        """Have seen no rows; in memory that is there, whose fresh pages would take their time."""
        self.n_rows = self._n_alike = 0
        self._sums[:] = 0.0
        self._products[:] = 0.0
        self._far: list[tuple[int, NDArray[np.float64]]] = []  # rows, and means less the shift
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
    def _shifted_mean(self) -> NDArray[np.float64]:
        total = self._sums + sum(m * mean for m, mean in self._far)
        return np.asarray(total / self.n_rows)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the rows, (n,)."""
        return self._shifted_mean + (0.0 if self._shift is None else self._shift)

    def products(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums of products (n, n), and the mean of the rows that they are of and not about, (n,).

        With m rows, m mean mean' less than these are the products about the mean.
        """
        if not self._far:
            return self._products, self._sums / self.n_rows
        counts, means = zip(*self._far, strict=True)
        own = self._sums / max(self._n_alike, 1)
        D = np.stack([own, *means]) - self._shifted_mean
        D *= np.sqrt([self._n_alike, *counts])[:, None]
        return self._products + D.T @ D - self._n_alike * np.outer(own, own), np.zeros_like(own)

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
        k, m, n = map(int, X.shape)
        totals, products, along = self._totals[:k], self._parts[:k], ones(m, self._dtype)
        if self._centre and self._half is None:
            self._set_shift(X[0, 0].copy(), np.zeros(n))  # a row: exact where nothing varies
        shifts: list[NDArray[Any] | None] = []
        step = max(1, _TOGETHER // (m * n))
        for start in range(0, k, step):
            # calls that follow a product find a cold cache: few of them
            these = slice(start, start + step)
            Z = X[these]
            np.matmul(along, Z, out=totals[these])
            if self._centre:
                by = self._shifts(totals[these], m, Z[:, 0])
                shifts += [None] * len(Z) if by is None or by is self._shift else list(by[:, 0])
                if by is not None:
                    Z = self._shifted(Z, by)
                    np.matmul(along, Z, out=totals[these])
            np.matmul(Z.transpose(0, 2, 1), Z, out=products[these])
        squares = products.trace(axis1=1, axis2=2).tolist()
        for i in range(k):
            if not (squares[i] < SAFE and (self._dtype == "float64" or fits(squares[i]))):
                return i * m
            self._add_part(m, totals[i], products[i], shifts[i] if shifts else None)
        return k * m

    def _add_part(
        self, m: int, total: NDArray[Any], product: NDArray[Any], by: NDArray[Any] | None
    ) -> None:
        """Add the sums of m rows that were shifted by so much; None: as all are."""
        self._products += product
        self.n_rows += m
        more = None if by is None else by - (0.0 if self._shift is None else self._middle)
        if more is None or not more.any():
            self._n_alike += m
            self._sums += total
            return
        mean = total.astype("float64") / m
        self._products -= m * np.outer(mean, mean)
        self._far.append((m, mean + more))

    def _shifts(self, totals: NDArray[Any], m: int, first: NDArray[Any]) -> NDArray[Any] | None:
        """What to shift parts with these sums (k, n) by: all alike (n,), or (k, 1, n); or None.

        A mean is as wrong as its sum is rounded. Where the first row is as near, it is taken: it is
        exact where nothing varies.
        """
        means = totals.astype("float64") / m
        beyond = np.abs(means - self._middle) > self._half
        if not beyond.any():
            return self._shift
        base = 0.0 if self._shift is None else self._shift
        rounded = np.abs(means - first) <= np.abs(means) * (m * np.finfo(self._dtype).eps)
        own = np.where(rounded, first, means)
        return np.where(beyond, own, base).astype(self._dtype)[:, None]

    def _shifted(self, X: NDArray[Any], by: NDArray[Any]) -> NDArray[Any]:
        if self._room is None or self._room.size < X.size:
            self._room = np.empty(max(X.size, min(_TOGETHER, self._totals.size * PART)), X.dtype)
        Z: NDArray[Any] = self._room[: X.size].reshape(X.shape)
        np.subtract(X, by, out=Z)
        return Z

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_room": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {name: writeable(value) for name, value in state.items()}
