"""Events of the rows that come: the last of each key, as the page lists them."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Any

from streampca.monitor import Event, Events, Monitor, Rules, Watch
from streampca.serve.answers import plain, time_text
from streampca.serve.reader import Key

RULES = "k=3, n=5, hold_off=10"
"""Single rows are listed as alarms already; what lasts is an event."""
_MOST_KEYS, _LISTED = 1_000, 50


def watch_of(monitor: Monitor, rules: Rules, key: Key) -> Watch:
    """Rows of a key beside the limits that their model holds, or those of theory."""
    if rules.ewma is None and rules.method == "theory":
        method = monitor.limits(rules.confidence)[2]
        rules = dataclasses.replace(rules, method=method)
    return Watch(monitor, rules, key=key)


class Happened:
    """Events of all keys; a new model goes on with the event that is open."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._running: dict[Key, Events] = {}
        self._listed: OrderedDict[Key, list[dict[str, Any]]] = OrderedDict()
        self._versions: dict[Key, int] = {}

    def add(self, key: Key, watch: Watch, X: Any, number: int, time: int) -> bool:
        """Take a row (1, n) and its number; whether the list of its key has changed by it."""
        scored = watch.score(X, [time])[0]._replace(row=number)
        events = self._running.setdefault(key, Events(self._rules, n_sensors=8))
        told = events.add(scored)
        for event in told:
            self._list(key, event)
        return bool(told)

    def of(self, key: Key) -> tuple[int, list[dict[str, Any]]]:
        """How often the list has changed, and the list: the oldest first."""
        return self._versions.get(key, 0), list(self._listed.get(key, ()))

    def _list(self, key: Key, event: Event) -> None:
        said = plain(event.as_dict())
        for name in ("start_time", "end_time", "peak_time"):
            said[name] = time_text(said[name])
        before = [each for each in self._listed.get(key, ()) if each["start"] != event.start]
        self._listed[key] = [*before, said][-_LISTED:]
        self._listed.move_to_end(key)
        self._versions[key] = self._versions.get(key, 0) + 1
        while len(self._listed) > _MOST_KEYS:
            gone, _ = self._listed.popitem(last=False)
            self._running.pop(gone, None)
