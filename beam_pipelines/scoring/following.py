"""Checkpoints as a side input that follows the stream, and a step that applies them to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import AsMultiMap, TaggedOutput
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    SlidingWindows,
    TimestampedValue,
)
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.rows import BAD_ROWS, LAST_OF_ALL, BadRow, Span, key_text, keyed
from streampca.checkpoint import Checkpoint, Key


def check_lag(lag: Any) -> None:
    """Raise ValueError unless it is a number of windows."""
    if isinstance(lag, bool) or not isinstance(lag, int) or lag < 0:
        raise ValueError(f"lag={lag!r} is not accepted: give a number of windows, 0 or more")


def following(checkpoints: Any, lag: int, slim: Callable[[Checkpoint], Checkpoint]) -> Any:
    """The side input of (key, Checkpoint) for rows `lag` windows later, made slim before."""
    windowing = checkpoints.windowing
    later = lag * _period(windowing.windowfn, lag)
    return AsMultiMap(
        checkpoints
        | "Slim" >> beam.ParDo(_Slim(later, slim)).with_output_types(tuple[str, Checkpoint])
        | "Follow"
        >> beam.WindowInto(
            windowing.windowfn,
            trigger=AfterWatermark(early=AfterCount(1), late=AfterCount(1)),
            accumulation_mode=AccumulationMode.ACCUMULATING,
            allowed_lateness=windowing.allowed_lateness,
        )
        | "OwnWindow" >> beam.ParDo(_Own(later)).with_output_types(tuple[str, Checkpoint])
    )


def _period(windowfn: Any, lag: int) -> int:
    """Microseconds from one window to the next."""
    if isinstance(windowfn, FixedWindows):
        return windowfn.size.micros
    if isinstance(windowfn, SlidingWindows):
        return windowfn.period.micros
    if isinstance(windowfn, GlobalWindows) and not lag:
        return 0
    raise ValueError(
        f"checkpoints in {type(windowfn).__name__} cannot be side inputs"
        + (" of another window" if lag else "")
        + ": use fixed or sliding windows"
    )


class _Slim(beam.DoFn):
    """Checkpoints without what only learning needs, moved to the window that uses them."""

    def __init__(self, lag: int, slim: Callable[[Checkpoint], Checkpoint]) -> None:
        self._lag, self._slim = lag, slim

    def process(
        self, element: Any, timestamp: Any = beam.DoFn.TimestampParam
    ) -> Iterator[TimestampedValue]:
        checkpoint = element[1] if isinstance(element, tuple) else element
        when = min(timestamp.micros + self._lag, LAST_OF_ALL)
        slim = (key_text(checkpoint.key), self._slim(checkpoint))
        yield TimestampedValue(slim, Timestamp(micros=when))


class _Own(beam.DoFn):
    """Keep the copy in the very window that is to use it: sliding windows overlap."""

    def __init__(self, lag: int) -> None:
        self._lag = lag

    def process(self, element: Any, window: Any = beam.DoFn.WindowParam) -> Iterator[Any]:
        end = element[1].window_end
        whole = isinstance(window, GlobalWindow) or end is None
        if whole or Span.of(window).end == end + self._lag:
            yield element


class Apply(beam.DoFn):
    """Applies what `make` makes of the newest checkpoint of an element's key: its outputs.

    Parameters
    ----------
    make : callable
        Of a checkpoint; returns a function of an element and its time (UTC microseconds), which
        returns the outputs, or raises ValueError if a row cannot be used.
    dead_letter : bool
        Whether elements that cannot be used, or have no checkpoint, are an output of their own.
    """

    def __init__(self, make: Any, dead_letter: bool) -> None:
        self._make = make
        self._dead_letter = dead_letter
        self._bad = Metrics.counter("streampca", "bad_rows")
        self._without = Metrics.counter("streampca", "rows_without_checkpoint")

    def start_bundle(self) -> None:
        # Checkpoints may be replaced, but not while a bundle is at work.
        self._made: dict[tuple[str, Any], Any] = {}

    def process(
        self,
        element: Any,
        checkpoints: Any,
        window: Any = beam.DoFn.WindowParam,
        timestamp: Any = beam.DoFn.TimestampParam,
    ) -> Iterator[Any]:
        """Give the outputs, each with the key."""
        key, rows = keyed(element)
        try:
            applied = self._of(key_text(key), window, checkpoints)
            if applied is None:
                self._without.inc()
                if self._dead_letter:
                    reason = f"key {key!r}: there is no checkpoint for its window"
                    yield TaggedOutput(BAD_ROWS, BadRow(key, rows, reason))
                return
            outputs = applied(rows, timestamp.micros)
        except ValueError as error:
            reason = str(error) if key is None else f"key {key!r}: {error}"
            if not self._dead_letter:
                raise ValueError(reason) from error
            self._bad.inc()
            yield TaggedOutput(BAD_ROWS, BadRow(key, rows, reason))
            return
        for output in outputs:
            yield key, output

    def _of(self, text: str, window: Any, checkpoints: Any) -> Any:
        place = (text, window)
        if place not in self._made:
            newest = _newest(checkpoints[text])
            made = None if newest is None else self._make(newest)
            if len(self._made) > 1000:
                self._made.clear()
            self._made[place] = made
        return self._made[place]


def apply(make: Any, side: Any, kind: Any, main: str, bad_rows: bool) -> Any:
    """The step from rows to (key, kind); with bad rows it has two outputs, `main` and these."""
    applied = beam.ParDo(Apply(make, bad_rows), side).with_output_types(tuple[Key, kind])
    return applied.with_outputs(BAD_ROWS, main=main) if bad_rows else applied


def _newest(checkpoints: Iterable[Checkpoint]) -> Checkpoint | None:
    """The last checkpoint of a window; in the global window, of the newest one read."""
    return max(checkpoints, key=lambda c: (c.window_end or 0, c.sequence), default=None)
