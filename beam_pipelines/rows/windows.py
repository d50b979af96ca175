"""Windows as the pipeline uses them: which rows may be added up, and what a checkpoint covers."""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

from apache_beam.transforms.trigger import (
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    DefaultTrigger,
    TriggerFn,
)
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    NonMergingWindowFn,
    Sessions,
    SlidingWindows,
    WindowFn,
)
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Duration, Timestamp

LAST_OF_ALL = GlobalWindow().max_timestamp().micros
"""The last instant of the global window, in microseconds."""


class Span(NamedTuple):
    """A window in UTC microseconds; the global window has neither start nor end."""

    end: int | None
    start: int | None

    @classmethod
    def of(cls, window: Any) -> Span:
        """Return the span of a Beam window.

        That of rows without times may begin before all times that 64 bits hold.
        """
        if isinstance(window, GlobalWindow):
            return cls(None, None)
        return cls(window.end.micros, max(window.start.micros, MIN_TIMESTAMP.micros))

    @property
    def last(self) -> int:
        """Microseconds of the last instant inside: where its checkpoint belongs."""
        return LAST_OF_ALL if self.end is None else self.end - 1


def slots(windowfn: WindowFn) -> WindowFn:
    """Return windows that hold each row once and of which the windows of `windowfn` are unions.

    Sliding windows overlap: adding up their moments would count a row several times.
    """
    if isinstance(windowfn, SlidingWindows):
        size = math.gcd(windowfn.size.micros, windowfn.period.micros)
        return FixedWindows(Duration(micros=size), Timestamp(micros=windowfn.offset.micros))
    return windowfn


def early_trigger(every: float) -> TriggerFn:
    """Panes after so many seconds of processing time, at the window's end, and for late rows.

    Beam's own trigger knows full seconds only.
    """
    return AfterWatermark(early=AfterProcessingTime(math.ceil(every)), late=AfterCount(1))


def at_the_end(trigger: TriggerFn) -> TriggerFn:
    """Panes at a window's end, and of late rows, whatever the trigger of the rows says.

    Of bounded input, where it would count blocks, of which there may be too few, and FnApiRunner
    has no clock for others; of sessions, whose early panes lie in windows that are none later.
    """
    plain = isinstance(trigger, DefaultTrigger)
    return trigger if plain else AfterWatermark(late=AfterCount(1))


def also_at_the_end(trigger: TriggerFn) -> TriggerFn:
    """The panes of a trigger, and one at a window's end: one that counts may wait for ever."""
    known = isinstance(trigger, DefaultTrigger | AfterWatermark)
    return trigger if known else AfterWatermark(early=trigger, late=AfterCount(1))


def is_foreign(windowfn: WindowFn) -> bool:
    """Whether nobody here knows in how many windows of a kind a row may be."""
    known = (FixedWindows, GlobalWindows, SlidingWindows)
    return isinstance(windowfn, NonMergingWindowFn) and not isinstance(windowfn, known)


def covering(slot: Span, windowfn: WindowFn) -> list[Span]:
    """Return the windows of `windowfn` that contain a slot, the first to end first."""
    if not isinstance(windowfn, SlidingWindows) or slot.end is None:
        return [slot]
    context = WindowFn.AssignContext(Timestamp(micros=slot.end - 1))
    # Beam's SlidingWindows also returns windows that ended before, where size < period.
    spans = (Span.of(window) for window in windowfn.assign(context))
    return sorted(span for span in spans if span.end is not None and span.end >= slot.end)


def parse(text: str) -> WindowFn:
    """Return the windows that a command line asks for.

    "1h" or "fixed:3600", "sliding:3600,600", "session:600", "global"; seconds, or with a unit
    s, m, h or d.

    Raises
    ------
    ValueError
        If the text is none of these.

    Examples
    --------
    >>> parse("90m").size
    Duration(5400)
    """
    kind, colon, rest = text.partition(":")
    with contextlib.suppress(ValueError):
        if text == "global":
            return GlobalWindows()
        if not colon:
            return FixedWindows(_seconds(text))
        if kind == "fixed":
            return FixedWindows(_seconds(rest))
        if kind == "session":
            return Sessions(_seconds(rest))
        if kind == "sliding":
            size, period = rest.split(",")
            return SlidingWindows(_seconds(size), _seconds(period))
    raise ValueError(
        f"{text!r} is no window: use a length such as 1h or 3600, fixed:1h, sliding:1h,10m, "
        "session:10m or global"
    )


def _seconds(text: str) -> Duration:
    text = text.strip()
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
    micros = round((float(text[:-1]) * unit if unit else float(text)) * 1e6)
    if not 0 < micros < 10**18:
        raise ValueError(text)
    return Duration(micros=micros)
