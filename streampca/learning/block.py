"""A minibatch of rows on their way into moments on a device: its memory, there and here.

Knows of rows what can be seen of them; not when they are folded in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Lane, pinned, to_numpy, torch
from streampca.moments import look
from streampca.rows import Look, unfit_entry


class Given(NamedTuple):
    """Where some rows of a block come from."""

    start: int  # in the block
    row: int  # among the rows of the call
    call: int
    names: Sequence[str] | None


class Block:
    """Memory for one minibatch, filled from the front, and what is known of the rows in it."""

    def __init__(
        self, n_rows: int, n_features: int, dtype: torch.dtype, device: str, lane: Lane
    ) -> None:
        self._device, self._lane = device, lane
        self.X = torch.empty((n_rows, n_features), dtype=dtype, device=device)
        self._sums, self._lengths = (torch.empty_like(self.X[0]) for _ in range(2))
        lane.shares(self.X, self._sums, self._lengths)
        self._report = pinned((2,), torch.float64, device)
        self.clear()

    def clear(self) -> None:
        """Hold no rows; the memory is free once all that was computed so far is done."""
        self._free = self._lane.mark()
        self._n_sent = self.n_held = 0
        self._staging: torch.Tensor | None = None  # rows from n_sent on, on the host
        self.weights: NDArray[np.float64] | None = None
        self.given: list[Given] = []
        self._beside: Any = None  # event: what the lane was given for these rows is done
        self.reported: Any = None  # event: the report has come

    # --- rows in ---------------------------------------------------------------------------

    def append(self, X: torch.Tensor, weights: NDArray[np.float64] | None, given: Given) -> None:
        """Take rows that lie on a device, or that the device need not be asked for."""
        self.send()
        self.X[self.n_held : self.n_held + X.shape[0]] = X
        self._note(X.shape[0], weights, given, sent=True)

    def append_pinned(
        self, X: torch.Tensor, weights: NDArray[np.float64] | None, given: Given
    ) -> Any:
        """Take rows from pinned memory; the event says when they have been read."""
        self.send()
        self._lane.after(self._free)
        copied = self._lane.copy(self.X[self.n_held : self.n_held + X.shape[0]], X)
        self._note(X.shape[0], weights, given, sent=True)
        self._beside = copied
        return copied

    def gather(self, X: torch.Tensor, weights: NDArray[np.float64] | None, given: Given) -> None:
        """Take rows from other memory of the host: they are sent later, many at once."""
        if self._staging is None:
            self._staging = pinned((self.X.shape[0], self.X.shape[1]), self.X.dtype, self._device)
        self._staging[self.n_held : self.n_held + X.shape[0]] = X
        self._note(X.shape[0], weights, given, sent=False)

    def send(self) -> None:
        """Copy what was gathered to the device."""
        if self._staging is not None and self._n_sent < self.n_held:
            rows = slice(self._n_sent, self.n_held)
            self._lane.after(self._free)
            self._beside = self._lane.copy(self.X[rows], self._staging[rows])
            self._n_sent = self.n_held

    def _note(
        self, count: int, weights: NDArray[np.float64] | None, given: Given, *, sent: bool
    ) -> None:
        self.given.append(given)
        stop = self.n_held + count
        if weights is not None or self.weights is not None:
            if self.weights is None:
                self.weights = np.ones(self.X.shape[0])
            self.weights[self.n_held : stop] = 1.0 if weights is None else weights
        self.n_held = stop
        if sent:
            self._n_sent = stop

    # --- what is known of them ---------------------------------------------------------------

    @property
    def held(self) -> tuple[torch.Tensor, NDArray[np.float64] | None]:
        """The rows (m, n) and their weights (m,); views."""
        m = self.n_held
        return self.X[:m], None if self.weights is None else self.weights[:m]

    def look(self) -> None:
        """Check the rows beside other work; nobody waits for the result."""
        self.send()
        self._lane.after(self._lane.mark())
        with self._lane:
            found = look(self.X[: self.n_held], self._sums, self._lengths)
            self._report.copy_(found, non_blocking=True)
        self._beside = self.reported = self._lane.done()

    def settle(self) -> None:
        """What is computed next sees the rows."""
        self.send()
        self._lane.before(self._beside)

    @property
    def seen(self) -> Look:
        """The result; read it when the report has come."""
        total, near = self._report.tolist()
        return Look(self._sums, self._lengths, total, bool(near))

    def surely_within(self, largest: float) -> bool:
        """Whether the report shows that each entry is small enough."""
        weights = self.held[1]
        heaviest = 1.0 if weights is None else max(float(weights.max()), 1.0)
        largest *= heaviest**-0.5
        # no square is above their sum, and NaN fails the comparison
        return self.seen.total <= min(largest, largest * largest)

    def leave_out_unfit(self, largest: float, call: int) -> tuple[int, str]:
        """Keep the rows that can be used; how many cannot, and a sentence on the first of them.

        The host waits, and the stored rows are checked again.
        """
        self.settle()
        X, weights = self.held
        heavy = 1.0 if weights is None else np.maximum(weights, 1.0)
        most = np.broadcast_to(largest * heavy**-0.5, len(X))  # by row
        fit = to_numpy(X.abs().amax(dim=1)).astype("float64") <= most  # NaN is not
        if fit.all():
            return 0, ""  # their squares are too large for float32 only
        at = int(np.argmin(fit))
        given = [g for g in self.given if g.start <= at][-1]
        row = to_numpy(X[at : at + 1])
        said = unfit_entry(row, given.names, float(most[at]), given.row + at - given.start)
        if call > given.call:
            ago = call - given.call
            said += f" (in the call of partial_fit {ago} before the last one)"
        good = np.flatnonzero(fit)
        self.X[: len(good)] = X[torch.from_numpy(good).to(self._device)]
        if weights is not None:
            weights[: len(good)] = weights[good]
        self.n_held = self._n_sent = len(good)
        if len(good):
            self.look()
            if self.reported is not None:
                self.reported.synchronize()
        return len(fit) - len(good), said
