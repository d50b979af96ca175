"""The stateful DoFn that carries the model across windows, one for each key.

It lives in the global window, because Beam's state dies with its window. Moments wait in a bag,
each with the window that it belongs to; a watermark timer at the end of each window closes every
window that is due, in event-time order: runners do not fire timers in order, and on bounded input
all rows arrive before any timer. A timer that finds nothing due does nothing, so a repeated one
does no harm.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import BytesCoder, TupleCoder, VarIntCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import TimestampedValue, WindowFn
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.coders import Names, moments_from_bytes
from beam_pipelines.combine import empty_moments
from beam_pipelines.windows import Span, covering
from streampca import Checkpoint, StreamingPCA
from streampca.moments import Moments

Pending = tuple[int, int, int, bytes]
"""Last instant, start and size (microseconds) of a window, and moments of some of its rows.

The size is 0 for the global window, and there are no moments where the window's rows have been
counted in an earlier one and it only has to report the model.
"""


class TagWindow(beam.DoFn):
    """(key text, moments) of a slot -> (key text, Pending) of the windows that it belongs to."""

    def __init__(self, windowfn: WindowFn, carry: bool) -> None:
        self._windowfn = windowfn
        self._carry = carry

    def process(
        self, element: tuple[str, bytes], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[tuple[str, Pending]]:
        key, moments = element
        slot = Span.of(window)
        spans = covering(slot, self._windowfn) if self._carry else [slot]
        for i, span in enumerate(spans):
            size = 0 if span.end is None else span.end - (span.start or 0)
            yield key, (span.last, span.start or 0, size, b"" if i else moments)


class CarryModel(beam.DoFn):
    """(key text, Pending) -> (key, Checkpoint), timestamped inside the window that it covers.

    Parameters
    ----------
    carry : bool
        Whether a checkpoint holds the model of all rows so far, or of its window's rows alone.
    options : dict
        Those of `StreamingPCA`.
    """

    MODEL = ReadModifyWriteStateSpec("model", BytesCoder())
    CLOSED = ReadModifyWriteStateSpec("closed", VarIntCoder())
    PENDING = BagStateSpec(
        "pending", TupleCoder([VarIntCoder(), VarIntCoder(), VarIntCoder(), BytesCoder()])
    )
    WINDOW_END = TimerSpec("window_end", TimeDomain.WATERMARK)

    def __init__(self, carry: bool, options: dict[str, Any]) -> None:
        self._carry = carry
        self._options = options
        self._checkpoints = Metrics.counter("streampca", "checkpoints")
        self._late = Metrics.counter("streampca", "late_checkpoints")

    def process(
        self,
        element: tuple[str, Pending],
        pending: Any = beam.DoFn.StateParam(PENDING),  # noqa: B008 - how Beam declares state
        timer: Any = beam.DoFn.TimerParam(WINDOW_END),  # noqa: B008
    ) -> None:
        _, waiting = element
        pending.add(waiting)
        timer.set(Timestamp(micros=waiting[0]), dynamic_timer_tag=str(waiting[0]))

    @on_timer(WINDOW_END)
    def close(
        self,
        text: str = beam.DoFn.KeyParam,  # type: ignore[assignment]
        now: Timestamp = beam.DoFn.TimestampParam,  # type: ignore[assignment]
        pending: Any = beam.DoFn.StateParam(PENDING),  # noqa: B008
        model: Any = beam.DoFn.StateParam(MODEL),  # noqa: B008
        closed: Any = beam.DoFn.StateParam(CLOSED),  # noqa: B008
    ) -> Iterator[Any]:
        """Close every window that is due."""
        waiting = sorted(pending.read())
        # Timers cross workers in milliseconds, rounded down: the last instant of a window, one
        # microsecond before its end, comes back as up to 999 microseconds earlier.
        due = [entry for entry in waiting if entry[0] <= now.micros + 999]
        if not due:
            return
        state, before = model.read(), closed.read()
        run = Running(json.loads(text), self._carry, self._options, state)
        for (last, start, size), entries in groupby(due, key=lambda entry: entry[:3]):
            late = before is not None and last <= before
            span = Span(start + size, start) if size else Span(None, None)
            run.close(span, [entry[3] for entry in entries if entry[3]], late)
            self._checkpoints.inc()
            if late:
                self._late.inc()
            yield TimestampedValue(run.emitted(), Timestamp(micros=last))
        pending.clear()
        for entry in waiting[len(due) :]:
            pending.add(entry)
        model.write(run.state())
        closed.write(max(due[-1][0], due[-1][0] if before is None else before))


class Opened(NamedTuple):
    """What a window's moments add up to."""

    moments: Moments | None
    names: Names


class Running:
    """The model of one key while windows close, one after the other."""

    def __init__(
        self, key: str | int | None, carry: bool, options: dict[str, Any], state: bytes | None
    ) -> None:
        self._key = key
        self._carry = carry
        self._options = options
        self._device = options.get("device")
        self._last = Checkpoint.from_bytes(state) if state else None
        self._pca: StreamingPCA | None = None

    def close(self, span: Span, moments: list[bytes], late: bool) -> None:
        """Add the moments of a window and take its checkpoint."""
        last = self._last
        names = None if last is None else last.feature_names
        opened = self._opened(moments)
        if opened.moments is not None:
            if last is not None and (opened.names, opened.moments.n_features) != (
                names,
                last.components.shape[1],
            ):
                raise ValueError(
                    f"key {self._key!r}: rows have other features than before: "
                    f"{opened.names or opened.moments.n_features} after "
                    f"{names or last.components.shape[1]}; give features=[...]"
                )
            names = opened.names
        pca = self._started(last)
        if opened.moments is not None:
            pca.merge(opened.moments)
        checkpoint = pca.checkpoint(
            key=self._key,
            window_start=span.start,
            window_end=span.end,
            sequence=0 if last is None else last.sequence + 1,
            late=late,
        )
        # Moments have no names: the checkpoint gets those of the rows.
        checkpoint = dataclasses.replace(checkpoint, feature_names=names)
        self._last = checkpoint.with_drift(last)

    def emitted(self) -> tuple[str | int | None, Checkpoint]:
        """The checkpoint of the window that was closed last."""
        assert self._last is not None
        return self._key, self._last

    def state(self) -> bytes:
        """What the next windows go on from."""
        assert self._last is not None
        return self._last.to_bytes()

    def _opened(self, parts: list[bytes]) -> Opened:
        """The window's moments: the sum of its panes, or the fullest of accumulating panes."""
        read = [moments_from_bytes(part, self._device) for part in parts]
        if not read:
            return Opened(None, None)
        total, names = read[0]
        for moments, others in read[1:]:
            if not self._carry:
                total = max(total, moments, key=lambda m: m.n_samples)
            elif others != names:
                raise ValueError(f"key {self._key!r}: rows of one window have different features")
            else:
                total.merge(moments)
        return Opened(total, names)

    def _started(self, last: Checkpoint | None) -> StreamingPCA:
        """The estimator to add to: the running one, or one that remembers no row."""
        if last is None:
            self._pca = StreamingPCA(**self._options)
        elif not self._carry:
            # Its components stay: they give the next ones their signs.
            self._pca = StreamingPCA.from_checkpoint(self._emptied(last), device=self._device)
        elif self._pca is None:
            self._pca = StreamingPCA.from_checkpoint(last, device=self._device)
        return self._pca

    def _emptied(self, last: Checkpoint) -> Checkpoint:
        """The same model with nothing remembered."""
        parameters = StreamingPCA(**self._options).get_params()
        moments = empty_moments(parameters, last.components.shape[1], last.components.dtype.name)
        return dataclasses.replace(last, moments=moments.state(), n_samples_seen=0, weight=0.0)
