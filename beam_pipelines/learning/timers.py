"""Which timers of a key a bundle has set: few, however many windows wait.

A timer's tag is its time, so that no bundle ever moves one that another has set.
"""

from __future__ import annotations

import math
from typing import Any

from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.learning.pending import Pending


class Timers:
    """Watermark timers of one key that this bundle has set and not taken back, in microseconds.

    What has come in this bundle waits for one that is no later than its window's end; what came in
    bundles before does so, too, since timers of other bundles are left as they are.
    """

    __slots__ = ("_set", "_soonest")

    def __init__(self) -> None:
        self._set: set[int] = set()
        self._soonest: float = math.inf

    def reach(self, last: int, timer: Any) -> None:
        """Make sure of a timer at this instant or before it."""
        if last < self._soonest:
            self._add(last, timer)

    def wait_for(self, waiting: list[Pending], timer: Any) -> None:
        """Have those alone that are needed for these entries, which are in order: at most two."""
        wanted = {waiting[0].last, waiting[-1].last} if waiting else set()
        for last in self._set - wanted:
            timer.clear(dynamic_timer_tag=str(last))
        new = wanted - self._set
        self._set &= wanted
        self._soonest = min(self._set, default=math.inf)
        for last in sorted(new):
            self._add(last, timer)

    def _add(self, last: int, timer: Any) -> None:
        timer.set(Timestamp(micros=last), dynamic_timer_tag=str(last))
        self._set.add(last)
        self._soonest = min(self._soonest, last)
