"""ProjectComponents: rows of a stream in the components that the same stream has learned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

from beam_pipelines.learning import LAST_OF_ALL, Span
from beam_pipelines.projector import Projected, Projector
from beam_pipelines.rows import BAD_ROWS, BadRow, key_text, keyed
from streampca import Checkpoint

Key = str | int | None


class ProjectComponents(beam.PTransform):
    """Coordinates of rows in the components of their window's checkpoint, or of an earlier one.

    Takes rows or (key, row) pairs, as `LearnComponents` does, in the same windows, and gives
    ``(key, Projected)``, with a matrix or record batch as one element. The checkpoints are a side
    input that follows the stream: where a window has several (early, late), the newest known
    counts.

    Parameters
    ----------
    checkpoints : PCollection of (key, Checkpoint)
        What `LearnComponents` or `ReadCheckpoints` gives, in fixed, sliding or global windows.
    lag : int, default=0
        0: rows wait for the checkpoint of their own window. 1: they use that of the window before,
        which is there when they come; and so on. Windows without a checkpoint have none to give.
    spe, t2 : bool, default=False
        Whether to add SPE and Hotelling's T^2.
    bad_rows : bool, default=False
        True: a second output, tagged "bad_rows", of rows that cannot be used or have no
        checkpoint, with the reason. False: the first that cannot be used fails the pipeline, and
        rows without a checkpoint are left out. Both are counted, in `bad_rows` and
        `rows_without_checkpoint`.

    Examples
    --------
    >>> import apache_beam as beam, numpy as np
    >>> from beam_pipelines import LearnComponents, ProjectComponents
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     rows = pipeline | beam.Create([np.eye(3)[0] * i for i in range(4)])
    ...     checkpoints = rows | LearnComponents(1)
    ...     projected = rows | ProjectComponents(checkpoints, spe=True)
    ...     _ = projected | beam.Map(lambda keyed: print(abs(keyed[1].coordinates)))
    [1.5]
    [0.5]
    [0.5]
    [1.5]
    """

    def __init__(
        self,
        checkpoints: Any,
        *,
        lag: int = 0,
        spe: bool = False,
        t2: bool = False,
        bad_rows: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(lag, bool) or not isinstance(lag, int) or lag < 0:
            raise ValueError(f"lag={lag!r} is not accepted: give a number of windows, 0 or more")
        self._checkpoints = checkpoints
        self._lag = lag
        self._wanted = (spe, t2)
        self._bad_rows = bad_rows

    def expand(self, rows: Any) -> Any:
        """Build the steps."""
        windowing = self._checkpoints.windowing
        lag = self._lag * _period(windowing.windowfn, self._lag)
        side = (
            self._checkpoints
            | "Slim" >> beam.ParDo(_Slim(lag)).with_output_types(tuple[str, Checkpoint])
            | "Follow"
            >> beam.WindowInto(
                windowing.windowfn,
                trigger=AfterWatermark(early=AfterCount(1), late=AfterCount(1)),
                accumulation_mode=AccumulationMode.ACCUMULATING,
                allowed_lateness=windowing.allowed_lateness,
            )
            | "OwnWindow" >> beam.ParDo(_Own(lag)).with_output_types(tuple[str, Checkpoint])
        )
        project = beam.ParDo(_Project(*self._wanted, self._bad_rows), AsMultiMap(side))
        project = project.with_output_types(tuple[Key, Projected])
        if self._bad_rows:
            project = project.with_outputs(BAD_ROWS, main="projected")
        return rows | "Project" >> project

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"lag": self._lag, "spe": self._wanted[0], "t2": self._wanted[1]}


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

    def __init__(self, lag: int) -> None:
        self._lag = lag

    def process(
        self, element: Any, timestamp: Any = beam.DoFn.TimestampParam
    ) -> Iterator[TimestampedValue]:
        checkpoint = element[1] if isinstance(element, tuple) else element
        when = min(timestamp.micros + self._lag, LAST_OF_ALL)
        slim = (key_text(checkpoint.key), checkpoint.without_moments())
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


class _Project(beam.DoFn):
    def __init__(self, spe: bool, t2: bool, dead_letter: bool) -> None:
        self._spe, self._t2 = spe, t2
        self._dead_letter = dead_letter
        self._bad = Metrics.counter("streampca", "bad_rows")
        self._without = Metrics.counter("streampca", "rows_without_checkpoint")

    def start_bundle(self) -> None:
        # Checkpoints may be replaced, but not while a bundle is at work.
        self._projectors: dict[tuple[str, Any], Projector | None] = {}

    def process(
        self,
        element: Any,
        checkpoints: Any,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[Any]:
        key, rows = keyed(element)
        try:
            projector = self._projector(key_text(key), window, checkpoints)
            if projector is None:
                self._without.inc()
                if self._dead_letter:
                    reason = f"key {key!r}: there is no checkpoint for its window"
                    yield TaggedOutput(BAD_ROWS, BadRow(key, rows, reason))
                return
            projected = projector(rows)
        except ValueError as error:
            reason = str(error) if key is None else f"key {key!r}: {error}"
            if not self._dead_letter:
                raise ValueError(reason) from error
            self._bad.inc()
            yield TaggedOutput(BAD_ROWS, BadRow(key, rows, reason))
            return
        yield key, projected

    def _projector(self, text: str, window: Any, checkpoints: Any) -> Projector | None:
        place = (text, window)
        if place not in self._projectors:
            newest = _newest(checkpoints[text])
            made = None if newest is None else Projector(newest, self._spe, self._t2)
            if len(self._projectors) > 1000:
                self._projectors.clear()
            self._projectors[place] = made
        return self._projectors[place]


def _newest(checkpoints: Iterable[Checkpoint]) -> Checkpoint | None:
    """The last word on a window; in the global window, on the newest of those read."""
    return max(checkpoints, key=lambda c: (c.window_end or 0, c.sequence), default=None)
