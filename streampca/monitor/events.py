"""Events: rows that are out for a while, from the first to the last, with the sensors to blame.

Rows come scored, one after the other; knows neither models nor where rows come from. What it keeps
between two rows is plain data, so that a stream may be gone on with elsewhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from streampca.monitor.rules import Rules

_FURTHEST = 1e300
"""A statistic is infinitely far beyond a limit of 0, and JSON has no infinity."""


class Levels(NamedTuple):
    """Limits of SPE and T^2, of rows or of their running means, and what both are on average."""

    spe: float
    t2: float
    mean_spe: float
    mean_t2: float


class Scored(NamedTuple):
    """A row beside the limits of a model."""

    key: str | int | None
    row: int  # its number in the stream
    time: int | None  # UTC microseconds
    spe: float
    t2: float
    levels: Levels
    alarm: bool  # whether the row by itself is above a limit of rows
    statistic: str  # "spe" or "t2": the one that is further beyond
    sensors: tuple[str, ...]  # with the largest parts in it, first the one to blame
    shares: tuple[float, ...]  # those parts


@dataclasses.dataclass(frozen=True)
class Event:
    """A time in which a process was unlike itself."""

    key: str | int | None
    start: int  # number of the first row that was out
    end: int  # of the last one
    start_time: int | None  # UTC microseconds
    end_time: int | None
    n_rows: int  # from start to end
    n_out: int  # of these, above a limit
    peak: float  # the furthest beyond, in units of the limit
    peak_row: int
    peak_time: int | None
    statistic: str  # "spe" or "t2", of the peak
    sensors: tuple[str, ...]  # to blame, the first most
    shares: tuple[float, ...]  # of the statistic that was further out, mean over the rows that were
    is_over: bool

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dataclasses.asdict(self)


class Events:
    """Turns the scored rows of one key, in their order, into events.

    Parameters
    ----------
    rules : Rules
    n_sensors : int
        How many sensors an event names.
    state : list, optional
        What `state` returned, to go on from there.

    Examples
    --------
    >>> levels = Levels(spe=2.0, t2=9.0, mean_spe=1.0, mean_t2=3.0)
    >>> row = Scored(None, 0, None, 1.0, 0.5, levels, False, "spe", ("oil", "air"), (0.7, 0.3))
    >>> events = Events(Rules(k=2, n=3))
    >>> found = []
    >>> for i, spe in enumerate([1, 5, 1, 6, 7, 1, 1]):
    ...     found += events.add(row._replace(row=i, spe=spe))
    >>> [(event.start, event.end, event.peak, event.sensors[0], event.is_over) for event in found]
    [(1, 3, 3.0, 'oil', False), (1, 4, 3.5, 'oil', True)]
    """

    def __init__(self, rules: Rules, *, n_sensors: int = 5, state: Any = None) -> None:
        self._rules, self._n_sensors = rules, n_sensors
        self._smooth: list[float] | None = None  # running means of SPE and T^2
        # of the last n rows, those that were out
        self._recent: deque[dict[str, Any] | None] = deque(maxlen=rules.n)
        self._open: dict[str, Any] | None = None
        self._calm = 0
        if state is not None:
            self._smooth, recent, self._open, self._calm = state
            self._recent.extend(recent)

    def state(self) -> list[Any]:
        """All that is kept between two rows, as JSON values; give it to a new one to go on."""
        return [self._smooth, list(self._recent), self._open, self._calm]

    @property
    def is_open(self) -> bool:
        """Whether an event has begun and is not over."""
        return self._open is not None

    def add(self, row: Scored) -> list[Event]:
        """Take the next row: the event that it opens, or ends, if any."""
        blame = dict(zip(row.sensors, row.shares, strict=True))
        return self.step(row, row.levels, lambda: blame)

    def step(self, row: Any, levels: Levels, blame: Callable[[], dict[str, float]]) -> list[Event]:
        """`add`, of a row with `row`, `time`, `key`, `spe` and `t2`; `blame` if it is out."""
        beyond, statistic = self._beyond(row.spe, row.t2, levels)
        if self._open is None:
            if beyond <= 1.0:
                self._recent.append(None)
                return []
            return self._quiet(_entry(row, beyond, statistic, blame()))
        self._open["n_waiting"] += 1
        if beyond > 1.0:
            _join(self._open, _entry(row, beyond, statistic, blame()))
        if beyond > self._rules.release:
            self._open |= {"end": row.row, "end_time": row.time}
            self._open["n_rows"] += self._open["n_waiting"]
            self._open["n_waiting"] = self._calm = 0
            return []
        self._calm += 1
        return [] if self._calm < self._rules.hold_off else [self._ended()]

    @property
    def rows_in_mind(self) -> set[int]:
        """Numbers of past rows that later events may name."""
        if self._open is not None:
            return {self._open[name] for name in ("start", "end", "peak_row")}
        return {entry["row"] for entry in self._recent if entry is not None}

    def finish(self) -> list[Event]:
        """The event that is open when there are no more rows, as it stands; it stays open."""
        return [] if self._open is None else [self._event(self._open, is_over=False)]

    # --- inside -----------------------------------------------------------------------------------

    def _beyond(self, spe: float, t2: float, levels: Levels) -> tuple[float, str]:
        """How far the row, or the running mean, is beyond its limit, and by which statistic."""
        weight = self._rules.ewma
        if weight is not None:
            begin = levels.mean_spe, levels.mean_t2
            before = self._smooth or [min(mean, _FURTHEST) for mean in begin]
            # a single row must not fill the mean with infinity for good
            spe, t2 = (
                b if math.isnan(x) else b + weight * (min(x, _FURTHEST) - b)
                for b, x in zip(before, (spe, t2), strict=True)
            )
            self._smooth = [spe, t2]
        ratios = ratio(spe, levels.spe), ratio(t2, levels.t2)
        return max(ratios), "spe" if ratios[0] >= ratios[1] else "t2"

    def _quiet(self, entry: dict[str, Any]) -> list[Event]:
        self._recent.append(entry)
        recent = list(self._recent)
        out = [each for each in recent if each is not None]
        if len(out) < self._rules.k:
            return []
        self._open = _begun(out[0], n_rows=len(recent) - recent.index(out[0]))
        for each in out[1:]:
            _join(self._open, each)
        self._open |= {"end": entry["row"], "end_time": entry["time"]}
        self._recent.clear()
        self._calm = 0
        return [self._event(self._open, is_over=False)]

    def _ended(self) -> Event:
        assert self._open is not None
        event = self._event(self._open, is_over=True)
        self._open, self._calm = None, 0
        return event

    def _event(self, found: Mapping[str, Any], *, is_over: bool) -> Event:
        blame = sorted(found["blame"].items(), key=lambda each: (-each[1], each[0]))
        blame = blame[: self._n_sensors]
        fields = {field.name: found.get(field.name) for field in dataclasses.fields(Event)}
        return Event(
            **fields  # type: ignore[arg-type]
            | {
                "sensors": tuple(name for name, _ in blame),
                "shares": tuple(total / found["n_out"] for _, total in blame),
                "is_over": is_over,
            }
        )


def ratio(value: float, limit: float) -> float:
    """A statistic in units of its limit."""
    if limit == math.inf or math.isnan(value):  # too few rows were learned from, or seen of this
        return 0.0
    if limit > 0:
        return min(value / limit, _FURTHEST)
    return _FURTHEST if value > 0 else 0.0


def _entry(row: Any, beyond: float, statistic: str, blame: dict[str, float]) -> dict[str, Any]:
    """The part of a row beyond its limits that an event keeps."""
    blame = {name: share for name, share in blame.items() if share > 0 and math.isfinite(share)}
    return {
        "key": row.key,
        "row": row.row,
        "time": row.time,
        "beyond": beyond,
        "statistic": statistic,
        "blame": blame,
    }


def _begun(entry: Mapping[str, Any], n_rows: int) -> dict[str, Any]:
    return {
        "key": entry["key"],
        "start": entry["row"],
        "start_time": entry["time"],
        "n_rows": n_rows,
        "n_waiting": 0,  # rows since the last one that kept it open
        "n_out": 1,
        "peak": entry["beyond"],
        "peak_row": entry["row"],
        "peak_time": entry["time"],
        "statistic": entry["statistic"],
        "blame": dict(entry["blame"]),
    }


def _join(found: dict[str, Any], entry: Mapping[str, Any]) -> None:
    found["n_out"] += 1
    for name, share in entry["blame"].items():
        found["blame"][name] = found["blame"].get(name, 0.0) + share
    if entry["beyond"] > found["peak"]:
        found |= {
            "peak": entry["beyond"],
            "peak_row": entry["row"],
            "peak_time": entry["time"],
            "statistic": entry["statistic"],
        }
