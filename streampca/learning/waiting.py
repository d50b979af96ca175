"""The open minibatch on the host: which of its rows wait, and which have been summed already.

Minibatches end at fixed places of the stream, and so do the pieces that rows of few features are
summed in: whoever cuts the stream into calls changes neither. Knows no moments, but for their sums.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import to_numpy
from streampca.learning.buffer import RowBuffer
from streampca.learning.change import Change
from streampca.learning.lock import Lock
from streampca.moments import PART, Tally
from streampca.rows import Minibatch

_TOGETHER = 16
"""Minibatches that are folded in at once where there are sums of them."""

_MANY = 2**18
"""Numbers of rows that are summed where they lie: fewer are copied in less time than calls take."""


class Folds(Protocol):
    """Who takes minibatches."""

    lock: Lock
    change: Change

    def rows_come(self) -> None:
        """Be told that there are more."""

    def fold_rows(self, batch: Minibatch) -> None:
        """Learn from a minibatch."""

    def begin_tally(self, n_parts: int, spare: Tally | None) -> Tally | None:
        """Sums of rows that are all of a minibatch so far; None where it takes the rows."""

    def count(self, tally: Tally, X: NDArray[Any]) -> int:
        """Add rows to sums; how many were fit for it."""

    def fold_tally(self, tally: Tally) -> None:
        """Learn from a minibatch of which there are sums."""


class Waiting:
    """Rows that have come since the last minibatch.

    Parameters
    ----------
    n_rows : int
        Those of a minibatch.
    largest : int
        Rows folded in at once when more come together.
    n_features, dtype
        Of a row.
    """

    def __init__(self, n_rows: int, largest: int, n_features: int, dtype: str) -> None:
        self._n_rows, self._largest = n_rows, largest
        self._rows = RowBuffer(n_rows, n_features, dtype)
        self._dtype = np.dtype(dtype)
        self._many = max(PART, _MANY // n_features)
        self._spare: Tally | None = None  # its memory, between minibatches
        self._begin()

    def _begin(self) -> None:
        self._n_gone = 0  # rows of the open minibatch that wait no more
        self._tally: Tally | None = None
        self._counts = self._n_rows > PART  # whether rows to come may be summed

    @property
    def n_held(self) -> int:
        """Rows that are not folded in yet."""
        return self._rows.n_held + (0 if self._tally is None else self._tally.n_rows)

    @property
    def is_idle(self) -> bool:
        """Whether the next row begins a minibatch, and none are to be folded in before."""
        return self.n_held == 0 and self._n_gone == 0

    @property
    def n_free(self) -> int:
        """Rows that make the minibatch complete."""
        return self._n_rows - self._n_gone - self._rows.n_held

    def add(self, rows: Minibatch, to: Folds) -> None:
        """Take rows, however many; each minibatch goes on as soon as it is complete."""
        start, stop = 0, rows.n_rows
        while start < stop:
            with to.lock:  # not for all of them: who reads need not wait so long
                to.change.check()
                to.rows_come()
                if self._wait(rows, start, stop):
                    return
                with to.change:
                    start = self._take(rows, start, stop, to)

    def _wait(self, rows: Minibatch, start: int, stop: int) -> bool:
        """Keep the rows from `start` on if nothing else need be done; nothing is torn by that."""
        count = stop - start
        if count >= self.n_free or (self._counts and (count >= self._many or not rows.equal)):
            return False
        self._rows.append(rows.part(start, stop))
        return True

    def flush(self, to: Folds) -> None:
        """Fold in all that has come; a minibatch begins with the next row."""
        held = self._rows
        if held.n_held and (self._tally is not None or held.n_held >= PART) and self._counts:
            held.drop(self._count(to, held.held))
        tally, rows = self._tally, held.take() if held.n_held else None
        self._begin()
        if tally is not None:
            to.fold_tally(tally)
        if rows is not None:
            to.fold_rows(rows)

    def _take(self, rows: Minibatch, start: int, stop: int, to: Folds) -> int:
        """Take some of the rows from `start` on; where the others begin."""
        if self._counts and not rows.equal:
            self._count_no_more(to)
        held, n_free = self._rows, self.n_free
        end = min(stop, start + n_free)
        if self._counts and end - start >= self._many:
            X = to_numpy(rows.X)
            if X.dtype == self._dtype and X.flags.c_contiguous:  # else the last bits may differ
                return start + self._take_many(X[start:end], to)
        if not self._counts and held.n_held == 0 and end - start == n_free:
            if self._n_gone == 0:
                end = min(stop, start + self._largest)
            to.fold_rows(rows.part(start, end))
            self._begin()
            return end
        held.append(rows.part(start, end))
        if end - start == n_free:
            if self._counts:
                held.drop(self._count(to, held.held))
            self._close(to)
        return end

    def _take_many(self, X: NDArray[Any], to: Folds) -> int:
        """Sum rows where they lie, after those that wait; how many are summed, or wait."""
        held = self._rows
        missing = -held.n_held % PART
        if missing:
            held.append(Minibatch(X[:missing]))
            X = X[missing:]
        if held.n_held:
            held.drop(self._count(to, held.held))
        if not self._counts:
            return missing
        if len(X) < self.n_free:
            X = X[: len(X) - len(X) % PART]
        done = self._count(to, X)
        if self.n_free == 0:
            self._close(to)
        return missing + done

    def _close(self, to: Folds) -> None:
        """Go on with the next minibatch; fold in those before it, or leave them summed."""
        tally = self._tally
        if tally is not None and tally.n_rows < _TOGETHER * self._n_rows:
            self._n_gone = 0
        else:
            self.flush(to)

    def _count(self, to: Folds, X: NDArray[Any]) -> int:
        """Sum rows as far as they are fit for it, and keep the others as they are; how many."""
        if self._tally is None:
            self._tally = self._spare = to.begin_tally(-(-self._n_rows // PART), self._spare)
        done = 0 if self._tally is None else to.count(self._tally, X)
        self._n_gone += done
        if done < len(X):
            self._count_no_more(to)
        return done

    def _count_no_more(self, to: Folds) -> None:
        """Keep the rest of the minibatch as it is; what has been summed is one of its own."""
        tally, self._tally, self._counts = self._tally, None, False
        if tally is not None and tally.n_rows:
            to.fold_tally(tally)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_spare": None}
