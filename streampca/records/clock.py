"""When rows came, how much of each is still remembered, and when to solve again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.learning import remembered

Float64 = NDArray[np.float64]


def next_solve(n_seen: int, batch_size: int) -> int:
    """The number of rows at which to solve again.

    Early on after a quarter more rows, later every minibatch: about 25 solves more in all.
    """
    return n_seen + min(batch_size, max(1, n_seen // 4))


class Clock:
    """Times of the rows that wait, in the order in which they came, which need not be theirs.

    A row from `age` before the latest time seen has weight 2 ** (-age / half_life), whenever it
    came: the order of rows makes no difference.

    Examples
    --------
    >>> clock = Clock(dt.timedelta(minutes=1))
    >>> for row, second in enumerate((0, 60, 30)):
    ...     at = dt.datetime(2026, 1, 1, 0, second // 60, second % 60)
    ...     clock.note(row, [clock.read(at)])
    >>> since, rows = clock.take(3)  # what is left of earlier rows, and of each of these
    >>> since, rows.round(2).tolist()
    (1.0, [0.5, 1.0, 0.71])
    """

    def __init__(self, half_life: dt.timedelta) -> None:
        self._half_life = half_life.total_seconds()
        if not self._half_life > 0:
            raise ValueError(f"half_life={half_life!r} is not accepted: give a time above 0")
        self._origin: dt.datetime | None = None
        self._latest: float | None = None
        self._waiting: list[float] = []

    def read(self, t: Any) -> float:
        """Seconds since the first time; ValueError where t is no time that compares with it."""
        if not isinstance(t, dt.datetime) or t != t:
            raise ValueError(
                f"half_life is a time, so each row needs its own: got t={t!r}, give a datetime, as "
                "in learn_one(x, t=...)"
            )
        first = self._origin
        try:
            if t.utcoffset() is not None:  # else times of one zone subtract by its clocks on walls
                t = t.astimezone(dt.UTC)
            seconds = float((t - (first or t)).total_seconds())
        except (TypeError, OverflowError) as error:
            raise ValueError(
                f"t={t!r} cannot be compared with the first time, {first!r}: give every time "
                "with a time zone, or none"
            ) from error
        self._origin = first or t
        return seconds

    def read_all(self, t: Any, n_rows: int) -> list[float]:
        """The times of a frame's rows: one for all, or one for each."""
        if isinstance(t, dt.datetime) or not isinstance(t, Iterable):
            return [self.read(t)] * n_rows
        seconds = [self.read(each) for each in t]
        if len(seconds) != n_rows:
            raise ValueError(f"t has {len(seconds)} times for {n_rows} rows: give one for each")
        return seconds

    def note(self, row: int, seconds: Iterable[float]) -> None:
        """Note the times of rows to come, from this one of those that wait on.

        Rows that do not come after all leave their times to the next ones.
        """
        self._waiting[row:] = seconds

    def take(self, n_rows: int) -> tuple[float, Float64]:
        """How much is remembered of the rows before, and of each that waits; then none wait."""
        times = np.asarray(self._waiting[:n_rows])
        self._waiting = []
        before = self._latest
        self._latest = latest = float(times.max() if before is None else max(before, times.max()))
        since = 1.0 if before is None else remembered(latest - before, self._half_life)
        return since, remembered(latest - times, self._half_life)
