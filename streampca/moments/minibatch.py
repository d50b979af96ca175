"""Minibatch moments: only the rows at hand, for stochastic solvers (the paper's own SGD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import (
    Array,
    cast,
    dtype_name,
    householder,
    namespace,
    singular,
    to_device,
    to_numpy,
    zeros,
)
from streampca.moments.base import Moments
from streampca.moments.centre import CentredRows


class MinibatchMoments(Moments):
    """The last minibatch: `@` gives a stochastic estimate of Sigma @ V in O(n m) memory.

    Mean, weight and per-feature variance are those of the complete stream; only the second moment
    is that of the last minibatch (about the running mean). Merging keeps the other's rows where
    this one has none, and stacks them otherwise.
    """

    kind: ClassVar[str] = "minibatch"
    of_all_rows: ClassVar[bool] = False
    _second_names: ClassVar[tuple[str, ...]] = ("rows", "rows_weight", "squares")

    def __init__(
        self, n_features: int, *, center: bool = True, dtype: str = "float32", device: str | None
    ) -> None:
        super().__init__(n_features, center=center, dtype=dtype, device=device)
        self._rows = zeros((0, n_features), dtype, device)
        self._rows_weight = zeros((1,), "float64", device)
        self._squares = zeros((n_features,), "float64", device)

    def widened(self, places: NDArray[np.int64], mean: NDArray[np.float64]) -> MinibatchMoments:
        rows = np.zeros((self._rows.shape[0], len(mean)))
        rows[:, places] = to_numpy(self._rows)  # about the mean, where new features stand
        squares = np.zeros(len(mean))
        squares[places] = to_numpy(self._squares)
        return self._widened_with(places, mean, rows=rows, squares=squares)

    def _absorb(self, rows: CentredRows) -> None:
        self._squares = self._squares + rows.squares
        # the rows lie in memory that the next minibatch overwrites: keep a copy
        self._rows = cast(rows.densified(0, rows.n_rows), self.dtype) * 1.0
        self._rows_weight = self._rows_weight * 0 + rows.weight

    def _merge_second(self, other: Self, between: Array) -> None:
        xp = namespace(self._rows)
        theirs = cast(to_device(other._rows, self.device), self.dtype)
        self._rows = xp.concatenate([self._rows, theirs, cast(between[None], self.dtype)])
        self._rows_weight = self._rows_weight + to_device(other._rows_weight, self.device)
        self._squares = self._squares + to_device(other._squares, self.device) + between**2

    def _scale_second(self, factor: float) -> None:
        self._squares = self._squares * factor

    def _product(self, V: Array) -> Array:
        Z = self._rows
        G = Z.T @ (Z @ cast(V, dtype_name(Z)))  # (n, k)
        return cast(G, "float64") * (self.denominator / self._divisor())

    def _divisor(self) -> Array:
        xp, w = namespace(self._rows), self._rows_weight
        return xp.where(w > 0, w, xp.ones_like(w))

    @property
    def _scatter_diagonal(self) -> Array:
        return self._squares

    def leading(self, k: int) -> tuple[Array, Array]:
        A = zeros((self.n_features, k), "float64", self.device)
        values = zeros((k,), "float64", self.device)
        if self._rows.shape[0] == 0:
            return A, values
        # not through Z Z', whose small eigenvectors would give no orthogonal columns
        Q, R = householder(self._rows.T)  # (n, r) and (r, m)
        U, lengths = singular(R)
        r = min(k, lengths.shape[0])
        A[:, :r], values[:r] = Q @ U[:, :r], lengths[:r] ** 2
        return A, values / self._divisor()

    @classmethod
    def _empty_like(cls, state: Mapping[str, Any], device: str | None) -> Self:
        self = super()._empty_like(state, device)
        n_rows = np.asarray(state["rows"]).shape[0]
        self._rows = zeros((n_rows, self.n_features), self.dtype, device)
        return self
