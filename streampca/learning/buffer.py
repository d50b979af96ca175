"""Small inputs wait here until they make a minibatch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import column_parts, dtype_name, empty, to_numpy
from streampca.rows import Minibatch, Squares

_NUMBERS = 2**24
"""Numbers that there is room for from the start: systems give memory when it is first written."""


class RowBuffer:
    """One block of rows, which grows; weights are kept only once a row had one.

    Parameters
    ----------
    n_rows : int
        How many it takes at most.
    n_features, dtype
        Of a row.
    """

    def __init__(self, n_rows: int, n_features: int, dtype: str) -> None:
        self._n_rows = n_rows
        self._X = empty((min(n_rows, _NUMBERS // n_features + 1), n_features), dtype, None)
        self._weights: NDArray[np.float64] | None = None  # each is 1
        self.n_held = 0
        self._squares = 0.0

    @property
    def n_free(self) -> int:
        """Rows that may still come."""
        return self._n_rows - self.n_held

    def _grow(self, room: int) -> None:
        X, weights = empty((room, self._X.shape[1]), dtype_name(self._X), None), self._weights
        X[: self.n_held] = self._X[: self.n_held]
        if weights is not None:
            weights = np.ones(room)
            weights[: self.n_held] = self._weights[: self.n_held]  # type: ignore[index]
        self._X, self._weights = X, weights

    def append(self, rows: Minibatch) -> None:
        """Copy at most `n_free` rows in; until the last line there are none of them."""
        stop = self.n_held + rows.X.shape[0]
        if stop > len(self._X):
            self._grow(min(self._n_rows, stop + stop // 2))
        X, place = to_numpy(rows.X), self._X[self.n_held : stop]
        for columns in column_parts(X):
            place[:, columns] = X[:, columns]
        if rows.weights is not None and self._weights is None:
            self._weights = np.ones(len(self._X))
        if self._weights is not None:
            self._weights[self.n_held : stop] = 1.0 if rows.weights is None else rows.weights
        self._squares, self.n_held = self._squares + rows.most, stop

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
        weights = None if self._weights is None else self._weights[: self.n_held]
        return self.__dict__ | {"_X": self.held, "_weights": weights, "room": len(self._X)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        room = state.pop("room")
        self.__dict__ |= state
        self._grow(room)
