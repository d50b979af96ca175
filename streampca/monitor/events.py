"""Events: rows that are out for a while, from the first to the last, with the sensors to blame.

Rows come scored, one after the other; knows neither models nor where rows come from. What it keeps
between two rows is plain data, so that a stream may be gone on with elsewhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from streampca.monitor.rules import Rules

__all__ = ["Event", "Events", "Levels", "Scored"]

_FURTHEST = 1e300
"""Of a limit of 0 everything is infinitely far beyond; JSON knows no infinity."""


class Levels(NamedTuple):
    """Limits of SPE and T^2, and what both are on average."""

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
    spe_limit: float  # of rows, or of their running mean where the rules smooth
    t2_limit: float
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
    levels : Levels, optional
        What the running mean begins with, where the rules smooth; the first row by default.
    n_sensors : int
        How many sensors an event names.

    Examples
    --------
    >>> row = Scored(None, 0, None, 1.0, 0.5, 2.0, 9.0, False, "spe", ("oil", "air"), (0.7, 0.3))
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
        self._recent: list[dict[str, Any] | None] = []  # of the last n rows, those that were out
        self._open: dict[str, Any] | None = None
        self._calm = 0
        if state is not None:
            self._smooth, self._recent, self._open, self._calm = state

    def state(self) -> list[Any]:
        """All that is kept between two rows, as JSON values; give it to a new one to go on."""
        return [self._smooth, self._recent, self._open, self._calm]

    @property
    def is_open(self) -> bool:
        """Whether an event has begun and is not over."""
        return self._open is not None

    def add(self, row: Scored, levels: Levels | None = None) -> list[Event]:
        """Take the next row: the event that it opens, and the one that it ends, if any."""
        beyond, statistic = self._beyond(row, levels)
        is_out = beyond > 1.0
        entry = _entry(row, beyond, statistic) if is_out else None
        if self._open is None:
            return self._quiet(entry)
        self._open["n_waiting"] += 1
        if entry is not None:
            _join(self._open, entry)
        if beyond > self._rules.release:
            self._open |= {"end": row.row, "end_time": row.time}
            self._open["n_rows"] += self._open["n_waiting"]
            self._open["n_waiting"] = self._calm = 0
            return []
        self._calm += 1
        if self._calm < self._rules.hold_off:
            return []
        return [self._ended()]

    def finish(self) -> list[Event]:
        """The event that is open when there are no more rows, as it stands; it stays open."""
        return [] if self._open is None else [self._event(self._open, is_over=False)]

    # --- inside -----------------------------------------------------------------------------------

    def _beyond(self, row: Scored, levels: Levels | None) -> tuple[float, str]:
        """How far the row, or the running mean, is beyond its limit, and by which statistic."""
        spe, t2 = row.spe, row.t2
        weight = self._rules.ewma
        if weight is not None:
            if self._smooth is None:
                self._smooth = [spe, t2] if levels is None else [levels.mean_spe, levels.mean_t2]
            before = self._smooth
            # a single row must not fill the mean with infinity for good
            spe, t2 = (
                b + weight * (min(x, _FURTHEST) - b) for b, x in zip(before, (spe, t2), strict=True)
            )
            self._smooth = [spe, t2]
        ratios = _ratio(spe, row.spe_limit), _ratio(t2, row.t2_limit)
        return max(ratios), "spe" if ratios[0] >= ratios[1] else "t2"

    def _quiet(self, entry: dict[str, Any] | None) -> list[Event]:
        recent = [*self._recent, entry][-self._rules.n :]
        out = [each for each in recent if each is not None]
        self._recent = recent
        if entry is None or len(out) < self._rules.k:
            return []
        first = recent.index(out[0])
        self._open = _begun(out[0], n_rows=len(recent) - first)
        for each in out[1:]:
            _join(self._open, each)
        self._open |= {"end": entry["row"], "end_time": entry["time"]}
        self._recent, self._calm = [], 0
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


def _ratio(value: float, limit: float) -> float:
    if limit > 0:
        return min(value / limit, _FURTHEST)
    return _FURTHEST if value > 0 else 0.0


def _entry(row: Scored, beyond: float, statistic: str) -> dict[str, Any]:
    """What an event needs of a row that is out."""
    blame = {
        name: share
        for name, share in zip(row.sensors, row.shares, strict=True)
        if share > 0 and math.isfinite(share)
    }
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
