"""Messages of a topic's partitions as rows, behind a watermark of the rows' own times.

A runner knows how far each partition has been read by its messages' times, or by the clock; some
forget all partitions but the last. Rows say better when a window is complete: when every partition
has shown one that is later than its end. So each partition holds the watermark back itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from beam_pipelines.rows import BAD_ROWS
from beam_pipelines.sources.parse import Parse

MARKS = "marks"
"""The output that says from which message on rows of a slot and later ones are to be read."""

_LONG = 10 * 365 * 86400
"""Seconds after which a hold that nobody has moved would be set again."""

_TOLD = 20
"""Bad messages and late rows that a worker's log shows."""

_END = GlobalWindow().max_timestamp()

_log = logging.getLogger(__name__)


class Message(NamedTuple):
    """A message of one partition."""

    offset: int
    millis: int  # since 1970
    key: bytes | None
    value: bytes | None


class Mark(NamedTuple):
    """Before this message no message of the partition has a row of this time or a later one."""

    partition: int
    micros: int
    offset: int


class Holding(NamedTuple):
    """How far rows may be out of order, and what of them is known; microseconds."""

    delay: int  # that a row may be older than one that its partition has shown before
    grain: int | None  # windows begin and end at multiples of it; None: there is one
    since: int | None = None  # older rows have been learned by the job that is gone on from
    idle: float | None = None  # seconds after which a silent partition is not waited for


class InOrder(beam.DoFn):
    """(partition, Message) in the order of offsets -> rows at their own times, and marks.

    None in the place of a message says that there is such a partition, whose watermark is to be
    waited for.

    Parameters
    ----------
    parse : Parse
        With bad messages as an output of its own.
    holding : Holding
    """

    NEWEST = ReadModifyWriteStateSpec("newest", VarIntCoder())
    LAST = ReadModifyWriteStateSpec("last", VarIntCoder())
    HOLD = TimerSpec("hold", TimeDomain.REAL_TIME)
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, parse: Parse, holding: Holding) -> None:
        self._parse, self._holding = parse, holding
        self._late = Metrics.counter("streampca", "rows_out_of_order")
        self._known = Metrics.counter("streampca", "known_rows")

    def setup(self) -> None:
        """Make what reads bytes, once for each worker."""
        self._parse.setup()
        self._n_told = 0

    def process(
        self,
        element: tuple[int, Message | None],
        newest: Any = beam.DoFn.StateParam(NEWEST),  # noqa: B008 - how Beam declares state
        last: Any = beam.DoFn.StateParam(LAST),  # noqa: B008
        hold: Any = beam.DoFn.TimerParam(HOLD),  # noqa: B008
        end: Any = beam.DoFn.TimerParam(END),  # noqa: B008
    ) -> Iterator[Any]:
        """Give the rows of a message, then let the watermark come as far as they have."""
        partition, message = element
        if message is None:
            self._hold_back(hold, MIN_TIMESTAMP.micros)
            end.set(_END)
            return
        message = Message(*message)
        before = last.read()
        if before is not None and message.offset <= before:
            raise ValueError(
                f"partition {partition}: offset {message.offset} came after {before}: this runner "
                "does not keep messages of one key in their order"
            )
        last.write(message.offset)
        top = newest.read()
        times = []
        for output, micros in self._rows(partition, message, top):
            if micros is not None:
                times.append(micros)
            if output is not None:
                yield output
        new = max([*times, *([] if top is None else [top])], default=None)
        if new is not None:
            newest.write(new)
            yield from self._moved(partition, message.offset, top, new, hold)

    def _rows(
        self, partition: int, message: Message, top: int | None
    ) -> Iterator[tuple[Any, int | None]]:
        """Outputs of a message, each with the time of its row, if it is one."""
        own = 1000 * message.millis
        for found in self._parse.process((message.key, message.value)):
            if isinstance(found, TaggedOutput):
                place = {"partition": partition, "offset": message.offset}
                bad = found.value
                bad = bad._replace(element=place | {"message": _text(message.value)})
                self._tell(f"partition {partition}, offset {message.offset}: {bad.reason}")
                when = Timestamp(micros=own if top is None else top)
                yield TaggedOutput(BAD_ROWS, TimestampedValue(bad, when)), None
                continue
            row, micros = found, own
            if isinstance(found, TimestampedValue):
                row, micros = found.value, found.timestamp.micros
            if self._holding.since is not None and micros < self._holding.since:
                self._known.inc()
                yield None, micros
                continue
            if top is not None and micros < top - self._holding.delay:
                self._late.inc()
            yield TimestampedValue(row, Timestamp(micros=micros)), micros

    def _moved(
        self, partition: int, offset: int, top: int | None, new: int, hold: Any
    ) -> Iterator[Any]:
        """A mark where a new slot begins; the watermark, where a slot has ended."""
        slot, delay = self._slot, self._holding.delay
        if slot(new) is None:
            return
        held = None if top is None else slot(top - delay)
        if top is None or slot(new) > slot(top):
            # Before the watermark comes as far: who waits for it has the mark by then.
            when = MIN_TIMESTAMP if held is None else Timestamp(micros=held)
            yield TaggedOutput(MARKS, TimestampedValue(Mark(partition, slot(new), offset), when))
        if held is None or slot(new - delay) > held or self._holding.idle is not None:
            self._hold_back(hold, slot(new - delay))

    def _hold_back(self, hold: Any, micros: int) -> None:
        idle = self._holding.idle
        _set(hold, micros, after=_LONG if idle is None else idle)

    def _slot(self, micros: int) -> Any:
        grain = self._holding.grain
        return None if grain is None else micros // grain * grain

    def _tell(self, text: str) -> None:
        self._n_told += 1
        if self._n_told <= _TOLD:
            _log.warning("%s%s", text, "; others are not shown" if self._n_told == _TOLD else "")

    @on_timer(HOLD)
    def hold_on(
        self,
        when: Timestamp = beam.DoFn.TimestampParam,  # type: ignore[assignment]
        hold: Any = beam.DoFn.TimerParam(HOLD),  # noqa: B008
    ) -> None:
        """Set the timer that keeps the watermark, unless the partition has ended or is silent."""
        has_ended = when.micros >= _END.micros - 1000  # timers cross workers in milliseconds
        if not has_ended and self._holding.idle is None:
            self._hold_back(hold, when.micros)

    @on_timer(END)
    def end(self, hold: Any = beam.DoFn.TimerParam(HOLD)) -> None:  # noqa: B008
        """Nothing comes any more: let the watermark go."""
        # Set, not cleared: Prism takes a timer that is cleared for one of 1970.
        _set(hold, _END.micros, after=0)


def _set(timer: Any, micros: int, after: float) -> None:
    """Hold the output's watermark back to a time until the timer fires or is set again.

    A timer of processing time does, at the time of what is being processed; Beam's Python has no
    argument for another yet.
    """
    timer._input_timestamp = Timestamp(micros=micros)
    timer.set(Timestamp.now() + after)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")
