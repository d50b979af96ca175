"""Sums of the rows of minibatches that come in parts, so that their rows need not wait.

They are the same to the bit whichever parts come together. Rows are passed over while they lie in
the cache of a core: for their means and for their products at once. They are not centred for it,
but shifted by the mean of all rows before where that is far from zero: what is left of their own
mean is near zero then, and is taken out of the products (implicit.py says how near that must be).
Knows neither who cuts the parts nor what is remembered of other rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import writeable
from streampca.moments.implicit import SAFE, Nearness
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
        Parts that are added at once, at most.
    """

    def __init__(self, about: Stream, n_parts: int) -> None:
        n, self._dtype = about.n_features, about.dtype
        self._sums, self.products = np.empty(n), np.empty((n, n))
        self._totals = np.empty((n_parts, n), about.dtype)
        self._parts = np.empty((n_parts, n, n), about.dtype)
        self._room: NDArray[Any] | None = None  # for shifted rows
        self._failed = True  # whether rows that came last were not fit
        self.begin(about)

    def begin(self, about: Stream) -> None:
        """Have seen no rows; in memory that is there, whose fresh pages would take their time."""
        self.n_rows = 0
        self._sums[:] = 0.0
        self.products[:] = 0.0
        self._nearness = nearness = Nearness(about)
        self._shift: NDArray[Any] | None = None
        self._half: NDArray[np.float64] | None = None
        if nearness.mean is None:
            return
        mean, zero = nearness.mean, np.zeros_like(nearness.mean)
        if (mean * mean > nearness.reach).any():
            self._shift = mean.astype(self._dtype)
            nearness.reach *= _CLOSER**2
            nearness.mean = mean = zero
        # what is near lies between two numbers: means of all parts are compared at once
        reach = nearness.reach**0.5
        low, high = np.maximum(zero, mean) - reach, np.minimum(zero, mean) + reach
        self._middle, self._half = (high + low) * 0.5, (high - low) * 0.5

    @property
    def mean_of_parts(self) -> NDArray[np.float64]:
        """Mean of the rows that `products` are of, (n,)."""
        return self._sums / self.n_rows

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the rows, (n,)."""
        mean = self.mean_of_parts
        return mean if self._shift is None else mean + self._shift

    def add(self, X: NDArray[Any]) -> int:
        """Add rows (m, n) of weight 1, part by part, as long as they are fit for it; how many.

        They are if means are near zero and sums of squares are well inside their type. What is
        left of X behind its last complete part is a part, too, and the last.
        """
        whole = len(X) - len(X) % PART
        with np.errstate(over="ignore", invalid="ignore"):
            done = self._add_parts(X[:whole].reshape(-1, PART, X.shape[1])) if whole else 0
            if done == whole < len(X):
                done += self._add_parts(X[None, whole:])
        self._failed = done < len(X)
        return done

    def _add_parts(self, X: NDArray[Any]) -> int:
        """Add parts (k, m, n), as long as they are fit for it; how many rows."""
        k, m, n = map(int, X.shape)
        totals, products, along = self._totals[:k], self._parts[:k], ones(m, self._dtype)
        step = max(1, _TOGETHER // (m * n))
        for start in range(0, k, step):
            # calls that follow a product find a cold cache: few of them. What is asked of all parts
            # afterwards is asked of the first ones before where it is likely that they fail
            these = slice(start, start + step)
            Z = self._shifted(X[these])
            np.matmul(along, Z, out=totals[these])
            if self._failed and start == 0:
                if not self._near(X[these], totals[these]):
                    return 0
                Z = self._shifted(X[these])  # anew: the question needs the room
            np.matmul(Z.transpose(0, 2, 1), Z, out=products[these])
        k = self._near(X, totals)
        squares = products[:k].trace(axis1=1, axis2=2).tolist()
        for i in range(k):
            if not (squares[i] < SAFE and (self._dtype == "float64" or fits(squares[i]))):
                return i * m
            self.products += products[i]
            self._sums += totals[i]
            self.n_rows += m
        return k * m

    def _shifted(self, X: NDArray[Any]) -> NDArray[Any]:
        """The parts, less the mean of the rows before where it is far from zero."""
        if self._shift is None:
            return X
        if self._room is None or self._room.size < X.size:
            self._room = np.empty(max(X.size, min(_TOGETHER, self._totals.size * PART)), X.dtype)
        Z: NDArray[Any] = self._room[: X.size].reshape(X.shape)
        np.subtract(X, self._shift, out=Z)
        return Z

    def _near(self, X: NDArray[Any], totals: NDArray[Any]) -> int:
        """How many parts (k, m, n) with these sums (k, n) are near before one is not."""
        k, m, _ = map(int, X.shape)
        if self._half is not None and (np.abs(totals - self._middle * m) <= self._half * m).all():
            return k
        means = totals / float(m)
        for i in range(k):
            if not self._nearness.holds(self._shifted(X[i : i + 1])[0], means[i]):
                return i
        return k

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_room": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {name: writeable(value) for name, value in state.items()}
