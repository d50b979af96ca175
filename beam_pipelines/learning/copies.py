"""Rows and checkpoints of windows that overlap: which of several copies counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import WindowFn

from beam_pipelines.rows import Span


class OneCopy(beam.DoFn):
    """Keep one copy of a row that lies in several windows.

    Assigning windows again takes each copy for a row: those in two windows would count twice.
    """

    def __init__(self, windowfn: WindowFn) -> None:
        self._windowfn = windowfn

    def process(
        self,
        element: Any,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[Any]:
        context = WindowFn.AssignContext(timestamp, element)
        if window.end == min(each.end for each in self._windowfn.assign(context)):
            yield element


class OneWindow(beam.DoFn):
    """Rows as they are; those that windows of somebody's own put into several are refused.

    They would count several times.
    """

    def __init__(self, windowfn: WindowFn) -> None:
        self._windowfn = windowfn

    def process(self, element: Any, timestamp: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        count = len(list(self._windowfn.assign(WindowFn.AssignContext(timestamp, element))))
        if count > 1:
            raise ValueError(
                f"a row lies in {count} windows of {type(self._windowfn).__name__}, and would "
                "count as often: use SlidingWindows, or windows that do not overlap"
            )
        yield element


class OwnWindow(beam.DoFn):
    """Keep the copy of a checkpoint in the very window that it covers: sliding windows overlap."""

    def process(self, element: Any, window: Any = beam.DoFn.WindowParam) -> Iterator[Any]:
        if Span.of(window).end == element[1].window_end:
            yield element
