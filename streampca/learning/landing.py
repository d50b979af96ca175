"""Rows on their way into moments on a device: nothing waits for them, and bad ones do not get in.

A minibatch is folded in when the next one is complete. By then it has been checked, beside
whatever was computed meanwhile, and the host learns without waiting whether its rows can be used.
Until then it lies in a block of memory that nobody else writes to. The host is at most two
minibatches ahead of the device.

Rows from the host that are not pinned are gathered in pinned memory and sent once a minibatch.
Pinned ones are copied from where they lie, and `add` returns when that is done: what is waited for
is the copy, not what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Lane, is_tensor, streams_of, to_numpy, torch, writeable
from streampca.learning.block import Block, Given
from streampca.learning.waiting import Folds
from streampca.rows import Minibatch

_WORTH_WAITING = 2**20
"""Bytes of pinned rows from which they are copied from where they lie."""


Fold: TypeAlias = Callable[[Minibatch], None]


class Landing:
    """Two blocks in turn: one takes rows while the other waits for its report.

    Parameters
    ----------
    n_rows, n_features, dtype, device
        Of a minibatch.
    largest : float
        Entries above it cannot be used.
    looks : bool
        Whether rows are checked; without, they have been checked, or have gaps, and are folded
        in at once.
    """

    def __init__(
        self,
        n_rows: int,
        n_features: int,
        dtype: str,
        device: str,
        *,
        largest: float,
        looks: bool = True,
    ) -> None:
        self._shape, self._dtype, self._device = (n_rows, n_features), dtype, device
        self._largest, self._looks = largest, looks
        self._call = 0
        self._found, self._n_left_out = "", 0
        self._start()

    def _start(self) -> None:
        self._lane = Lane(self._device)
        kind = getattr(torch, self._dtype)
        self._open, self._other = (
            Block(*self._shape, kind, self._device, self._lane) for _ in range(2)
        )
        self._waits = False  # whether the other block holds rows

    def looks_at(self, X: torch.Tensor) -> bool:
        """Whether these rows need no check before: it would be waited for."""
        return self._looks and (X.device.type != "cpu" or self._is_pinned(X))

    def _is_pinned(self, X: torch.Tensor) -> bool:
        return streams_of(self._device) is not None and X.is_pinned()

    # --- rows in ---------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether no rows wait, and nothing is to be said of earlier ones."""
        return self._open.n_held == 0 and not self._waits and not self._found

    @property
    def n_free(self) -> int:
        """Rows that make a minibatch complete."""
        return self._shape[0] - self._open.n_held

    def add(self, rows: Minibatch, names: Sequence[str] | None, to: Folds) -> None:
        """Take the rows of one call; the lock is held for a minibatch of them at a time.

        Raises
        ------
        ValueError
            If rows of earlier calls had to be left out. None of these has been taken then.
        """
        with to.lock, to.change:
            self._fold_bad(to.fold_rows)
            self._complain(" Of the rows given now none has been taken: give them again.")
            self._call += 1
        X = rows.X
        if not is_tensor(X):
            # torch warns about (and could write through) read-only memory such as Arrow's
            X = torch.from_numpy(writeable(X))
        start, stop, leaving = 0, X.shape[0], None
        while start < stop:
            with to.lock, to.change:
                piece = slice(start, min(stop, start + self.n_free))
                given = Given(self._open.n_held, start, self._call, names)
                w = None if rows.weights is None else rows.weights[piece]
                leaving = self._append(X[piece], w, given) or leaving
                if self.n_free == 0:
                    self._close(to.fold_rows)
            start = piece.stop
        if leaving is not None:
            leaving.synchronize()  # from now on the caller may write to these rows

    def _append(self, X: torch.Tensor, weights: NDArray[np.float64] | None, given: Given) -> Any:
        block = self._open
        if X.device.type != "cpu" or streams_of(self._device) is None:
            block.append(X, weights, given)
        elif (
            X.nbytes >= _WORTH_WAITING
            and X.is_contiguous()
            and X.dtype == block.X.dtype
            and self._is_pinned(X)
        ):
            return block.append_pinned(X, weights, given)
        else:
            block.gather(X, weights, given)
        return None

    # --- minibatches out ---------------------------------------------------------------------

    def flush(self, fold: Fold) -> None:
        """Fold in all rows; wait for the result of their check.

        Raises
        ------
        ValueError
            If rows had to be left out; all others have been folded in.
        """
        if self._open.n_held:
            self._close(fold)
        self._fold_waiting(fold)
        self._complain()

    def _close(self, fold: Fold) -> None:
        """Check the open block, fold in the other one, and go on with that."""
        if self._looks:
            self._open.look()
        waiting = self._waits
        self._open, self._other, self._waits = self._other, self._open, True
        if waiting:
            self._fold(self._open, fold)
        if not self._looks:
            self._fold_waiting(fold)

    def _fold_waiting(self, fold: Fold) -> None:
        if self._waits:
            self._waits = False
            self._fold(self._other, fold)

    def _fold_bad(self, fold: Fold) -> None:
        """Fold in what is good of the block that waits, if it is known to hold something bad."""
        block = self._other
        known = self._waits and self._looks
        known = known and (block.reported is None or block.reported.query())
        if known and not block.surely_within(self._largest):
            self._fold_waiting(fold)

    def _fold(self, block: Block, fold: Fold) -> None:
        try:
            if self._looks:
                if block.reported is not None:
                    block.reported.synchronize()  # of one minibatch ago
                if not block.surely_within(self._largest):
                    count, said = block.leave_out_unfit(self._largest, self._call)
                    self._found = self._found or said
                    self._n_left_out += count
            if block.n_held:
                block.settle()
                X, weights = block.held  # valid until the next rows come
                fold(Minibatch(X, weights, known=block.seen if self._looks else None))
        finally:
            block.clear()

    def _complain(self, advice: str = "") -> None:
        """Raise, once, if rows had to be left out."""
        if self._found:
            found, count, self._found, self._n_left_out = self._found, self._n_left_out, "", 0
            others = f" and {count - 1} more" if count > 1 else ""
            raise ValueError(
                f"{found}. This row{others} had to be left out, and all others have been learned: "
                f"rows on a device are looked at while the next ones come.{advice}"
            )

    # --- copies ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        held = []
        for block in (self._other, self._open) if self._waits else (self._open,):
            block.settle()
            X, weights = block.held
            w = None if weights is None else weights.copy()
            held.append((np.array(to_numpy(X)), w, list(block.given)))
        kept = {k: v for k, v in self.__dict__.items() if k not in ("_lane", "_open", "_other")}
        return kept | {"held": held}

    def __setstate__(self, state: dict[str, Any]) -> None:
        held, waits = state.pop("held"), state.pop("_waits")
        self.__dict__ |= state
        self._start()
        self._waits = waits
        for block, (X, weights, given) in zip((self._open, self._other), held[::-1], strict=False):
            if len(X):
                block.append(torch.from_numpy(X).to(self._device), weights, given[0])
                block.given = given
        if waits and self._looks:
            self._other.look()
