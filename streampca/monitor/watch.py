"""Rows of one key watched by a monitor: scored in their order, and told as events."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streampca.monitor.events import Event, Events, Levels, Scored, ratio
from streampca.monitor.levels import levels_of
from streampca.monitor.monitor import Monitor
from streampca.monitor.rules import Rules
from streampca.text import micros

Float64 = NDArray[np.float64]


class _Row(NamedTuple):
    key: Any
    row: int
    time: int | None
    spe: float
    t2: float


class Watch:
    """Watches rows of a process, and tells events: from when to when, how far, which sensors.

    Parameters
    ----------
    monitor : Monitor, Checkpoint or StreamingPCA
        A model of normal operation.
    rules : Rules, mapping or str, optional
        When rows open an event and when it is over; see `Rules`.
    key : str or int, optional
        Whose rows they are.
    n_sensors : int, default=5
        How many sensors a row, and an event, names.
    state : list, optional
        What `state` returned elsewhere, to go on from there.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> rng = np.random.default_rng(0)
    >>> def rows(m):
    ...     return rng.normal(size=(m, 1)) @ np.ones((1, 4)) + 0.1 * rng.normal(size=(m, 4))
    >>> watch = Watch(StreamingPCA(1).fit(rows(500)), "k=3, n=5, hold_off=10")
    >>> new = rows(300)
    >>> new[100:150, 2] += 1.0
    >>> for event in watch.add(new):
    ...     print(event.start, event.end, event.sensors[0], event.is_over)
    100 102 feature 2 False
    100 149 feature 2 True
    """

    def __init__(
        self,
        monitor: Any,
        rules: Any = None,
        *,
        key: str | int | None = None,
        n_sensors: int = 5,
        state: Any = None,
    ) -> None:
        self.monitor = monitor if isinstance(monitor, Monitor) else Monitor(monitor)
        self.rules, self.key = Rules.read(rules), key
        self.levels: Levels = levels_of(self.monitor, self.rules, key)
        """Limits of what the rules judge."""
        self._of_rows = self.levels
        if self.rules.ewma is not None:  # rows by themselves have limits of their own
            of_rows = dataclasses.replace(self.rules, ewma=None, limits={})
            self._of_rows = levels_of(self.monitor, of_rows, key)
        count, events = (0, None) if state is None else state
        self._count, self._n_sensors = count, n_sensors
        self._events = Events(self.rules, n_sensors=n_sensors, state=events)
        names = self.monitor.feature_names
        self._names = names or tuple(f"feature {i}" for i in range(self.monitor.n_features))

    def __repr__(self) -> str:
        whose = "" if self.key is None else f", key={self.key!r}"
        return f"Watch({self.monitor!r}, {self.rules!r}{whose})  # after {self._count:,} rows"

    def state(self) -> list[Any]:
        """All that is kept between rows, as JSON values."""
        return [self._count, self._events.state()]

    def add(self, X: Any, times: ArrayLike | None = None) -> list[Event]:
        """Watch the rows that follow: events that they open (not over yet) and end, in order.

        Parameters
        ----------
        X : array-like of shape (m, n)
        times : array-like of shape (m,), optional
            When they were: UTC microseconds, datetime64, datetime, or ISO 8601.

        Raises
        ------
        ValueError
            If a row cannot be used; it names the row and the feature, and none has been watched.
        """
        D = self.monitor.centred(X)
        return self._told(D, *self.monitor.both(D), times)

    def _told(self, D: Float64, spe: Float64, t2: Float64, times: Any) -> list[Event]:
        when = micros_of(times, len(D))
        found: list[Event] = []
        for i, (one, other) in enumerate(zip(spe.tolist(), t2.tolist(), strict=True)):
            row = _Row(self.key, self._count, when[i], one, other)
            blame = functools.partial(self._blame, D[i], one, other)
            found += self._events.step(row, self.levels, blame)
            self._count += 1
        return found

    @property
    def rows_in_mind(self) -> set[int]:
        """Numbers of past rows that later events may name."""
        return self._events.rows_in_mind

    def finish(self) -> list[Event]:
        """The event that is open still, as it stands, if there is one."""
        return self._events.finish()

    def score(self, X: Any, times: ArrayLike | None = None) -> list[Scored]:
        """Rows beside the limits, for `Events` elsewhere; they are not watched here."""
        D = self.monitor.centred(X)
        spe, t2 = self.monitor.both(D)
        when = micros_of(times, len(D))
        limits = self._of_rows
        found = []
        for i, (one, other) in enumerate(zip(spe.tolist(), t2.tolist(), strict=True)):
            blame = self._blame(D[i], one, other)
            found.append(
                Scored(
                    self.key,
                    i,
                    when[i],
                    one,
                    other,
                    self.levels,
                    one > limits.spe or other > limits.t2,
                    "spe" if self._by_spe(one, other) else "t2",
                    tuple(blame),
                    tuple(blame.values()),
                )
            )
        return found

    def _by_spe(self, spe: float, t2: float) -> bool:
        """Whether SPE exceeds its limit by more than T^2 does."""
        return ratio(spe, self._of_rows.spe) >= ratio(t2, self._of_rows.t2)

    def _blame(self, d: Float64, spe: float, t2: float) -> dict[str, float]:
        """The sensors with the largest parts in the statistic that is further beyond its limit."""
        by_spe = self._by_spe(spe, t2)
        parts = self.monitor.parts(d[None], of_spe=by_spe)[0]
        total = spe if by_spe else t2
        if not total > 0 or not np.isfinite(total):
            return {}
        order = np.argsort(-parts, kind="stable")[: self._n_sensors]
        return {self._names[j]: float(parts[j]) / total for j in order.tolist()}


def micros_of(times: Any, count: int) -> list[int | None]:
    """UTC microseconds of each row; None where there are no times."""
    if times is None:
        return [None] * count
    when = np.asarray(times)
    if when.dtype.kind in "OU":
        when = np.array([_instant(each) for each in when.ravel().tolist()]).reshape(when.shape)
    if when.dtype.kind == "M":
        if np.isnat(when).any():
            row = int(np.isnat(when).argmax())
            raise ValueError(f"the time of row {row} is NaT: give each row a time, or none of them")
        when = when.astype("datetime64[us]").astype("int64")
    if when.shape != (count,) or when.dtype.kind not in "iu":
        raise ValueError(
            f"times of shape {when.shape} and type {when.dtype} are not accepted: give one for "
            f"each of {count} rows, as UTC microseconds, datetime64, datetime or ISO 8601"
        )
    found: list[int | None] = when.tolist()
    return found


def _instant(value: Any) -> int:
    """UTC microseconds of a datetime, also of pandas, or of text; UTC where no zone is given."""
    try:
        return micros(datetime.datetime.fromisoformat(value) if isinstance(value, str) else value)
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            f"time {value!r} is not accepted: give UTC microseconds, datetime64, datetime or "
            "ISO 8601"
        ) from None
