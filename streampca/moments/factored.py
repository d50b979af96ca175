"""Factored moments: the q leading directions and eigenvalues, the model itself remembers.

Memory is O(n q), whatever n; no n x n array is ever formed. A minibatch of up to q rows is added
exactly and truncated (Brand 2006; Ross et al. 2008); larger ones go through a sketch of two thin
products with the rows, of which directions are made once for many rows, or when somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import (
    Array,
    cast,
    dtype_name,
    namespace,
    orthonormal,
    orthonormal_beside,
    to_device,
    to_numpy,
    towards_orthonormal,
    zeros,
)
from streampca.moments import sketch
from streampca.moments.base import Moments
from streampca.moments.centre import CentredRows
from streampca.moments.compress import Compressed, Directions, mended, stack, whole
from streampca.moments.directions import PROBES, sketched_directions
from streampca.moments.precision import fits

_COLD_STEPS = 3
"""Sketches of the same rows, each through the directions of the last, while there are few to
begin from; one is enough later."""

SKETCHED = 8192
"""Rows that go into one sketch, and at least 24 for each direction, but not more than half of those
so far: the small problems at its end cost as much as some hundred rows at p = 10. Measured there
with MNIST, sketches of 4,096 and 8,192 rows: excess 3.4e-6 and 3.9e-6, sorted by digit 2.9e-4 and
4.3e-4, a tenth of the time."""


_SAME = 1e-3
"""Share by which eigenvalues may add up to more than the sums of squares of features do, after any
number of minibatches in float32."""

_SKETCHED_THERE = 32
"""Minibatches that go into one sketch on a device, at least: the device waits while its small
problems are solved, 18 ms at p = 100, where 16,384 rows of 10,000 features take a few."""


class FactoredMoments(Moments):
    """Sigma remembered as U diag(s) U' with U (n, q) orthonormal.

    Columns of U with s = 0 may be zero: there are no such directions yet.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca.rows import Minibatch
    >>> X = np.random.default_rng(0).normal(size=(50, 6)) @ np.diag([9, 5, 3, 0, 0, 0])
    >>> moments = FactoredMoments(6, 3, dtype="float64", device=None)
    >>> moments.update(Minibatch(X[:20])); moments.update(Minibatch(X[20:]))
    >>> bool(np.allclose(moments @ np.eye(6), np.cov(X.T)))
    True
    """

    kind: ClassVar[str] = "factored"
    _second_names: ClassVar[tuple[str, ...]] = ("directions", "eigenvalues", "squares", "lost")

    def __init__(
        self,
        n_features: int,
        n_directions: int,
        *,
        center: bool = True,
        dtype: str = "float32",
        device: str | None,
    ) -> None:
        super().__init__(n_features, center=center, dtype=dtype, device=device)
        self.n_directions = min(n_directions, n_features)
        self._directions = zeros((n_features, self.n_directions), dtype, device)
        self._eigenvalues = zeros((self.n_directions,), "float64", device)
        self._squares = zeros((n_features,), "float64", device)
        self._lost = zeros((1,), "float64", device)
        self._full = False
        self._sketch: sketch.Sketch | None = None  # rows since the arrays above were written
        self._n_sketched = 0
        self._reading: Compressed | None = None  # of the sketch

    @classmethod
    def of(cls, moments: Moments, n_directions: int) -> FactoredMoments:
        """What factored moments with this many directions remember of moments of any kind."""
        self = cls(
            moments.n_features,
            n_directions,
            center=moments.center,
            dtype=moments.dtype,
            device=moments.device,
        )
        self._take_counts(moments)
        self._mean = moments._mean * 1.0
        U, values = moments.leading(self.n_directions + 1)
        s = namespace(values).clip(values, 0.0, None) * moments.denominator
        q = min(self.n_directions, len(s))
        self._directions[:, :q] = cast(U[:, :q], self.dtype)
        self._eigenvalues[:q] = s[:q]
        self._squares = moments._scatter_diagonal * 1.0
        self._lost = self._lost + moments.discarded_variance * moments.denominator
        self._lost = self._lost + s[q:].sum()
        return self

    def widened(self, places: NDArray[np.int64], mean: NDArray[np.float64]) -> FactoredMoments:
        self._settled()
        directions = np.zeros((len(mean), self.n_directions))
        directions[places] = to_numpy(self._directions)
        squares = np.zeros(len(mean))
        squares[places] = to_numpy(self._squares)
        return self._widened_with(places, mean, directions=directions, squares=squares)

    def operations(self, m: int) -> float:
        return 4.0 * m * self.n_features * self.n_directions

    def _absorb(self, rows: CentredRows) -> None:
        squares = self._squares + rows.squares
        if rows.n_rows <= self.n_directions:
            self._keep(stack(self._settled(), rows.few()))
        elif self.n_directions == self.n_features:
            self._keep(whole(self._settled(), rows))
        elif not self._has_all_directions():
            self._keep(self._cold(self._settled(), rows))
        else:
            self._add(rows)
        self._squares = squares

    def _add(self, rows: CentredRows) -> None:
        """Into the sketch, or into a new one if there is none, or it is full."""
        there = 0 if self.device is None else _SKETCHED_THERE * rows.n_rows
        most = min(max(SKETCHED, 24 * self.n_directions, there), self.effective_rows / 2)
        dtype = self._working_dtype(rows)
        held = self._sketch
        if held is None or self._n_sketched + rows.n_rows > most or dtype_name(held.A) != dtype:
            held, self._n_sketched = self._begun(rows, dtype), 0
        self._sketch = sketch.add(held, rows)
        self._n_sketched += rows.n_rows
        self._reading = None

    def _begun(self, rows: CentredRows, dtype: str) -> sketch.Sketch:
        """A sketch of the directions so far, and at combinations of these rows.

        The combinations are there since what no row shares with the directions so far, say in
        features that were silent until now, has no part in Z'Z A and would never appear.
        """
        U = cast(self._settled().U, dtype)
        count = min(PROBES, self.n_features - self.n_directions)
        draws = np.random.default_rng(self.n_samples)  # the same rows give the same bits
        P = cast(rows.combined(self._signs(draws, rows.n_rows), count), dtype)
        P = orthonormal_beside(P - U @ (U.T @ P), U)
        looking = sketched_directions(self.n_directions)
        return sketch.begin(namespace(U).concatenate([U[:, :looking], P], axis=1))

    def _working_dtype(self, rows: CentredRows) -> str:
        """float64 also where squares of what is remembered would leave float32."""
        small = rows.dtype == "float32" and self.dtype == "float32"
        if small and self.device is None and not fits(float(self._eigenvalues[0])):
            return "float64"
        return "float32" if small else "float64"

    def _cold(self, old: Directions, rows: CentredRows) -> Compressed:
        """From fewer than q directions: random combinations of the rows stand in for the others."""
        draws = np.random.default_rng(self.n_samples)
        q, k = self.n_directions, rows.n_rows
        signs = self._signs(draws, k * q).reshape(k, q)
        Y = cast(rows.combine(signs * q**-0.5), rows.dtype)
        A = orthonormal(Y) if self.n_samples == 0 else cast(stack(old, Y.T).kept.U, rows.dtype)
        for _ in range(_COLD_STEPS - 1 if k > self.n_samples else 0):
            A = orthonormal(sketch.add(sketch.begin(A), rows).Y)
        return sketch.compress(old, sketch.add(sketch.begin(A), rows))

    def _signs(self, draws: np.random.Generator, count: int) -> Array:
        signs = 2.0 * draws.integers(0, 2, count, dtype=np.int8) - 1.0
        return to_device(signs.astype(self.dtype), self.device)

    def _has_all_directions(self) -> bool:
        # once full it stays so (Sigma only grows, or is scaled by a number): a device is asked, and
        # waited for, only until then
        if not self._full:
            self._full = bool(self._eigenvalues[-1] > 0)
        return self._full

    def _keep(self, result: Compressed) -> None:
        kept = {
            "_directions": cast(result.kept.U, self.dtype),
            "_eigenvalues": result.kept.s,
            "_lost": self._lost + result.lost,
        }
        # at once: readings come here, too, and may be broken off without tearing anything
        self.__dict__ |= kept | {"_sketch": None, "_reading": None}

    def _read(self) -> Compressed:
        """Directions of all rows so far; the sketch goes on as if nobody had asked."""
        if self._sketch is None:
            return Compressed(Directions(self._directions, self._eigenvalues), self._lost * 0.0)
        if self._reading is None:
            old = Directions(self._directions, self._eigenvalues)
            self._reading = sketch.compress(old, self._sketch)
        return self._reading

    def _settled(self) -> Directions:
        """Directions of all rows so far, and no sketch."""
        if self._sketch is not None:
            self._keep(self._read())
        return Directions(self._directions, self._eigenvalues)

    def _merge_second(self, other: Self, between: Array) -> None:
        kept, lost = other._read()
        theirs = cast(to_device(kept.U, self.device), "float64")
        root = to_device(kept.s, self.device) ** 0.5
        Z = namespace(theirs).concatenate([(theirs * root).T, between[None]])  # (q + 1, n)
        self._keep(stack(self._settled(), Z))
        self._lost = self._lost + to_device(other._lost + lost, self.device)
        self._squares = self._squares + to_device(other._squares, self.device) + between**2

    def _scale_second(self, factor: float) -> None:
        self._eigenvalues = self._eigenvalues * factor
        self._squares = self._squares * factor
        self._lost = self._lost * factor
        if self._sketch is not None:
            self._sketch, self._reading = sketch.scaled(self._sketch, factor), None

    def _product(self, V: Array) -> Array:
        U, s = self._read().kept
        U = cast(U, "float64")
        return U @ (s[:, None] * (U.T @ cast(V, "float64")))

    @property
    def _scatter_diagonal(self) -> Array:
        return self._squares

    @property
    def discarded_variance(self) -> float:
        lost = float((self._lost + self._read().lost)[0])
        return min(lost, float(self._squares.sum())) / self.denominator

    def leading(self, k: int) -> tuple[Array, Array]:
        k = min(k, self.n_directions)
        U, s = self._read().kept
        A = towards_orthonormal(cast(U[:, :k], "float64"))
        if A is None:  # float32 columns are orthonormal to more than that
            A, s = mended(Directions(cast(U, "float64"), s))
        return A[:, :k], s[:k] / self.denominator

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        self._settled()  # who goes on from the state does what this one does
        return super().state()

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *, device: str | None) -> Self:
        self = super().from_state(state, device=device)
        s = self._eigenvalues
        if bool((s < -_SAME * abs(s).max()).any()):
            raise ValueError("the state of factored moments has eigenvalues below zero")
        self._eigenvalues = s * (s > 0)
        self._mend()
        return self

    def _mend(self) -> None:
        """Make directions sound that were written when this was not made sure of at each update.

        Where they hold more variance than there is, nothing they say can be relied on: the bound
        on what is lost becomes all that there is.
        """
        if towards_orthonormal(self._directions) is None:
            U, s = mended(Directions(cast(self._directions, "float64"), self._eigenvalues))
            self._directions, self._eigenvalues = cast(U, self.dtype), s
        held, total = self._eigenvalues.sum(), self._squares.sum()
        if bool(held > (1 + _SAME) * total):
            self._eigenvalues = self._eigenvalues * (total / held)
            self._lost = self._lost * 0.0 + total

    @classmethod
    def _empty_like(cls, state: Mapping[str, Any], device: str | None) -> Self:
        dtype = "float32" if bool(state["single_precision"]) else "float64"
        n, q = np.asarray(state["directions"]).shape
        return cls(n, q, center=bool(state["center"]), dtype=dtype, device=device)
