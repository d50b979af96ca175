"""Events of scored files: which rows of which file they are, and as a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streampca.checkpoint import time_text
from streampca.cli import output
from streampca.monitor import Event, Watch
from streampca.text import counted

_MOST = 100_000
"""Events that are kept for the report: more are counted only."""


class EventLog:
    """The events of one key over all files, with the names of the rows that they speak of."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._count = 0
        self._labels: dict[int, str] = {}
        self.n_events = 0
        self.events: list[dict[str, Any]] = []

    def add(self, X: Any, label: Callable[[int], str], times: Any) -> None:
        """Watch rows that follow; `label` says what the i-th of them is called."""
        told = self._watch.add(X, times)
        first, self._count = self._count, self._count + len(X)
        named = self._watch.rows_in_mind
        named |= {row for e in told for row in (e.start, e.end, e.peak_row)}
        new = {row: label(row - first) for row in named if row >= first}
        self._labels = {row: self._labels[row] for row in named if row < first} | new
        for event in told:
            if event.is_over:
                self._keep(event)

    def finish(self) -> None:
        """There are no more rows: an event that is open is one all the same."""
        for event in self._watch.finish():
            self._keep(event)

    def _keep(self, event: Event) -> None:
        self.n_events += 1
        if len(self.events) < _MOST:
            said = event.as_dict()
            said |= {name: self._labels[said[name]] for name in ("start", "end", "peak_row")}
            said |= {f"{name}_time": time_text(said[f"{name}_time"]) for name in _TIMED}
            self.events.append(said)


_TIMED = ("start", "end", "peak")


def event_table(events: list[dict[str, Any]], most: int) -> output.Table:
    """Events as a table, the furthest beyond their limits first."""
    shown = sorted(events, key=lambda each: -each["peak"])[:most]
    more = f" ({len(shown)} of {len(events):,})" if len(shown) < len(events) else ""
    made = output.Table("Events" + more, ["from", "to", "sensors"], ["rows", "peak", "peak at"])
    for each in shown:
        end = each["end_time"] or each["end"]
        blamed = ", ".join(
            f"{name} {share:.0%}"
            for name, share in list(zip(each["sensors"], each["shares"], strict=True))[:3]
        )
        whose = "" if each["key"] is None else f"{each['key']}: "
        made.add_row(
            whose + (each["start_time"] or each["start"]),
            end if each["is_over"] else f"{end}, not over",
            blamed,
            counted(each["n_rows"], "row"),
            f"{each['peak']:.3g} x {'SPE' if each['statistic'] == 'spe' else 'T²'}",
            each["peak_time"] or each["peak_row"],
        )
    return made
