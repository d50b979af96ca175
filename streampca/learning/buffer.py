"""Small inputs wait here until they make a minibatch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import column_parts, dtype_name, empty, to_numpy
from streampca.rows import Minibatch, Squares


class RowBuffer:
    """One preallocated block of rows; weights are kept only once a row had one."""

    def __init__(self, n_rows: int, n_features: int, dtype: str) -> None:
        self._X = empty((n_rows, n_features), dtype, None)
        self._weights: NDArray[np.float64] | None = None  # each is 1
        self.n_held = 0
        self._squares = 0.0

    @property
    def n_free(self) -> int:
        """Rows that still fit."""
        return int(self._X.shape[0]) - self.n_held

    def append(self, rows: Minibatch) -> None:
        """Copy at most `n_free` rows in."""
        stop = self.n_held + rows.X.shape[0]
        X, place = to_numpy(rows.X), self._X[self.n_held : stop]
        for columns in column_parts(X):
            place[:, columns] = X[:, columns]
        if rows.weights is not None:
            if self._weights is None:
                self._weights = np.ones(len(self._X))
            self._weights[self.n_held : stop] = rows.weights
        self._squares += rows.most
        self.n_held = stop

    @property
    def held(self) -> NDArray[Any]:
        """The rows held; a view."""
        return self._X[: self.n_held]  # type: ignore[no-any-return]

    def drop(self, count: int) -> None:
        """Forget the first of the rows held, none of which has a weight."""
        rest = self.n_held - count
        self._X[:rest] = self._X[count : self.n_held]
        self.n_held = rest
        if rest == 0:
            self._squares = 0.0

    def clear(self) -> None:
        """Become empty."""
        self.n_held, self._weights, self._squares = 0, None, 0.0

    def take(self) -> Minibatch:
        """Return the rows held (views, valid until the next append) and become empty."""
        weights = None if self._weights is None else self._weights[: self.n_held]
        batch = Minibatch(self.held, weights, known=Squares(self._squares))
        self.clear()
        return batch

    def __getstate__(self) -> dict[str, Any]:
        held = slice(0, self.n_held)
        weights = None if self._weights is None else self._weights[held]
        return self.__dict__ | {
            "_X": self._X[held],
            "_weights": weights,
            "n_rows": self._X.shape[0],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        X, weights, n_rows = state["_X"], state["_weights"], state.pop("n_rows")
        self.__dict__ |= state
        self._X = empty((n_rows, X.shape[1]), dtype_name(X), None)
        self._X[: self.n_held] = X
        if weights is not None:
            self._weights = np.ones(n_rows)
            self._weights[: self.n_held] = weights
