"""Small inputs wait here until they make a minibatch."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, dtype_name, empty, to_device


class Minibatch(NamedTuple):
    """Rows with their weights, and how much each is remembered at the end of the minibatch."""

    X: Array  # (m, n)
    weights: NDArray[np.float64] | None  # (m,)
    squares: float  # at least the sum of all squares; infinite where that is not known


class RowBuffer:
    """One preallocated block of rows; weights are kept only once a row had one."""

    def __init__(self, n_rows: int, n_features: int, dtype: str, device: str | None) -> None:
        self._X = empty((n_rows, n_features), dtype, device)
        self._weights = np.ones(n_rows)
        self._weighted = False
        self._device = device
        self.n_held = 0
        self._squares = 0.0

    @property
    def n_free(self) -> int:
        """Rows that still fit."""
        return int(self._X.shape[0]) - self.n_held

    def append(self, X: Array, weights: NDArray[np.float64] | None, squares: float = inf) -> None:
        """Copy at most `n_free` rows in; `squares` is at least the sum of all of theirs."""
        stop = self.n_held + X.shape[0]
        self._X[self.n_held : stop] = to_device(X, self._device)
        self._weights[self.n_held : stop] = 1.0 if weights is None else weights
        self._weighted |= weights is not None
        self._squares += squares
        self.n_held = stop

    def take(self) -> Minibatch:
        """Return the rows held (a view, valid until the next append) and become empty."""
        held = slice(0, self.n_held)
        weights = self._weights[held] if self._weighted else None
        minibatch = Minibatch(self._X[held], weights, self._squares)
        self.n_held, self._weighted, self._squares = 0, False, 0.0
        return minibatch

    def __getstate__(self) -> dict[str, Any]:
        held = slice(0, self.n_held)
        return (
            self.__dict__
            | {"_X": self._X[held], "_weights": self._weights[held]}
            | {"n_rows": self._X.shape[0]}
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        X, weights, n_rows = state["_X"], state["_weights"], state.pop("n_rows")
        self.__dict__ |= state
        self._X = empty((n_rows, X.shape[1]), dtype_name(X), self._device)
        self._weights = np.ones(n_rows)
        self._X[: self.n_held] = X
        self._weights[: self.n_held] = weights
