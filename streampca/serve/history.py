"""Histories as JSON values, each checkpoint read once however often the page asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from streampca import Checkpoint, CheckpointStore
from streampca.monitor import individuals_chart, same_features, trends
from streampca.serve.answers import heading
from streampca.serve.query import Key

__all__ = ["Histories"]

_KEPT = 5_000
Name = tuple[int | None, int]


class Histories:
    """The last checkpoints of a key, with how far each has moved since the one before.

    A checkpoint's file never changes, so an entry is good for ever; the oldest of 5,000 go.
    Entries are small numbers, not models: memory does not grow with features.
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._entries: OrderedDict[Any, dict[str, Any] | None] = OrderedDict()
        self._lock = threading.Lock()

    def last(self, key: Key, count: int) -> dict[str, Any]:
        """The last `count` entries of a key, oldest first, and charts of them."""
        names = self._store.written(key)
        entries = self._read(key, names, max(len(names) - count, 0))
        charts = {
            name: _chart([entry[name] for entry in entries]) for name in ("left_out", "angle")
        }
        return {"key": key, "n_checkpoints": len(names), "checkpoints": entries, "charts": charts}

    def _read(self, key: Key, names: Sequence[Name], start: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        with self._lock:  # one reader does the work, the others find it done
            held: tuple[Name, Checkpoint | None] | None = None
            for i in range(start, len(names)):
                before = names[i - 1] if i else None
                identity = (type(key), key, before, names[i])
                if identity not in self._entries:
                    old = None
                    if before is not None:
                        known = held is not None and held[0] == before
                        old = held[1] if known and held else self._load(key, before)
                    now = self._load(key, names[i])
                    held = (names[i], now)
                    self._entries[identity] = _entry(old, now)
                self._entries.move_to_end(identity)
                entry = self._entries[identity]
                if entry is not None:
                    entries.append(entry)
            while len(self._entries) > _KEPT:
                self._entries.popitem(last=False)
        return entries

    def _load(self, key: Key, name: Name) -> Checkpoint | None:
        return self._store.read(key, *name, moments=False)


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
