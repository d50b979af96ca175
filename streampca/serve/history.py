"""Histories as JSON values, each checkpoint read once however often the page asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from streampca.checkpoint import Checkpoint
from streampca.monitor import individuals_chart, same_features, trends
from streampca.serve.answers import heading
from streampca.serve.reader import Key, Name, Reader

Until = Callable[[Sequence[Name]], int]
"""How many of the names, from the oldest on."""

_KEPT = 5_000
_LOCKS = 64
_UNREAD = object()


class Histories:
    """The last checkpoints of a key, with how far each has moved since the one before.

    A checkpoint's file never changes, so an entry is good for ever; the oldest of 5,000 go.
    Entries are small numbers, not models: memory does not grow with features.
    """

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._entries: OrderedDict[Any, dict[str, Any] | None] = OrderedDict()
        self._lock = threading.Lock()
        # One reader of a key does the work, the others of it come when it is done; keys that
        # share a lock wait for each other, which costs time and nothing else.
        self._busy = [threading.Lock() for _ in range(_LOCKS)]

    def last(self, key: Key, count: int, until: Until | None = None) -> dict[str, Any]:
        """The last `count` entries of a key up to one, oldest first, and charts of them."""
        names = self._store.written(key).now()
        end = len(names) if until is None else until(names)
        with self._busy[hash((type(key), key)) % _LOCKS]:
            entries = self._read(key, names[:end], max(end - count, 0))
        charts = {
            name: _chart([entry[name] for entry in entries]) for name in ("left_out", "angle")
        }
        return {"key": key, "n_checkpoints": len(names), "checkpoints": entries, "charts": charts}

    def _read(self, key: Key, names: Sequence[Name], start: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        last: tuple[Name, Checkpoint | None] | None = None
        for i in range(start, len(names)):
            before = names[i - 1] if i else None
            identity = (type(key), key, before, names[i])
            entry = self._known(identity)
            if entry is _UNREAD:
                old = None
                if before is not None:
                    old = last[1] if last and last[0] == before else self._load(key, before)
                now = self._load(key, names[i])
                last = (names[i], now)
                entry = self._keep(identity, _entry(old, now))
            if entry is not None:
                entries.append(entry)
        return entries

    def _known(self, identity: Any) -> Any:
        with self._lock:
            if identity in self._entries:
                self._entries.move_to_end(identity)
            return self._entries.get(identity, _UNREAD)

    def _keep(self, identity: Any, entry: dict[str, Any] | None) -> dict[str, Any] | None:
        with self._lock:
            self._entries[identity] = entry
            while len(self._entries) > _KEPT:
                self._entries.popitem(last=False)
        return entry

    def _load(self, key: Key, name: Name) -> Checkpoint | None:
        return self._store.read(key, name, moments=False)


def _entry(before: Checkpoint | None, now: Checkpoint | None) -> dict[str, Any] | None:
    """One checkpoint in numbers; None where its file cannot be read."""
    if now is None:
        return None
    follows = before is not None and same_features(before, now)
    found = trends([before, now] if follows and before is not None else [now])
    p = len(now.components)
    return heading(now) | {
        "explained_variance_ratio": now.explained_variance_ratio,
        "total_variance": now.total_variance,
        "left_out": float(found.left_out[-1]),
        "angle": float(found.subspace[-1]),
        "turned": found.angles[-1, :p],
    }


def _chart(values: list[float]) -> dict[str, float] | None:
    chart = individuals_chart(np.asarray(values, "float64"))
    if chart is None:
        return None
    # Neither a share of the variance nor an angle can be less than nothing.
    return {"centre": chart.centre, "lower": max(chart.lower, 0.0), "upper": chart.upper}
