"""Rows and checkpoints of sliding windows, which overlap: which of several copies counts."""

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


class OwnWindow(beam.DoFn):
    """Keep the copy of a checkpoint in the very window that it covers: sliding windows overlap."""

    def process(self, element: Any, window: Any = beam.DoFn.WindowParam) -> Iterator[Any]:
        if Span.of(window).end == element[1].window_end:
            yield element
