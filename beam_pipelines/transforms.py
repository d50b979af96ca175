"""LearnComponents: ordered principal components of the rows so far, window by window."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    Sessions,
    SlidingWindows,
    TimestampCombiner,
    WindowFn,
)

from beam_pipelines.learning import (
    Arrived,
    CarryModel,
    Grouped,
    OneCopy,
    OneWindow,
    Options,
    OwnWindow,
    RerunModel,
    ResumeModel,
    RowsOrMomentsFn,
    TagRows,
    TagWindow,
    refuse_splits,
    resume_points,
)
from beam_pipelines.rows import (
    BAD_ROWS,
    BLOCKS,
    GatherBlocks,
    ReadBlocks,
    RowReader,
    TimedBlocks,
    also_at_the_end,
    at_the_end,
    early_trigger,
    is_foreign,
    slots,
)
from streampca.checkpoint import Checkpoint, Key

Seconds = float | datetime.timedelta


class Learned(NamedTuple):
    """What `LearnComponents(bad_rows=True)` returns."""

    checkpoints: Any
    """PCollection of (key, Checkpoint)."""
    bad_rows: Any
    """PCollection of BadRow: key, element, reason."""


class LearnComponents(beam.PTransform):
    """Ordered principal components of the rows so far, at the end of every window.

    Takes rows, or (key, row) pairs for one model per key, in any windows: fixed, sliding, session
    or global. A row is a mapping, a beam.Row, a NamedTuple or a numpy vector; a numpy matrix or an
    Arrow record batch holds many. Gives ``(key, Checkpoint)``, key None for rows without keys, with
    the last instant of the window as timestamp.

    Parameters
    ----------
    n_components : int, float, "parallel" or None
        As in `StreamingPCA`, as are all `options`.
    features : sequence of str or int, optional
        Names of the features in the order of the model, or how many there are. By default all that
        the rows have, names sorted; a row that has others than those before then fails the
        pipeline.
    carry : bool, default=True
        True: a checkpoint is the running model at its window's end, and a row counts once even
        where sliding windows overlap. False: it is of its window's rows alone.
    half_life : float or timedelta, optional
        Event time (seconds) in which what was learned loses half its weight: at the end E of a
        window a row weighs ``2 ** (-(E - e) / half_life)``, where e is the end of the first window
        that the row lies in. Late rows get the weight that they would have by then.
    early_every : float or timedelta, optional
        Processing time (whole seconds) after which a window that has new rows is reported before it
        ends, where the pipeline is streaming.
    idle_timeout : float or timedelta, optional
        Event time (seconds) after the end of its newest window at which a key is forgotten and its
        state freed; rows that come later begin a new model. At least the allowed lateness.
    resume_from : str, optional
        A checkpoint store on any file system that Beam has. A key without a state goes on from its
        checkpoints there, so that a job that replaces another goes on where that one stopped. Both
        want the same `carry`. Rows must be new, unless `rerun` says otherwise: those that the other
        job has learned would count twice.
    rerun : bool, default=False
        True: this is the job that wrote `resume_from`, run again after a crash, with the same
        options and windows, and the same input from its beginning on. Rows of windows up to each
        key's last checkpoint are not learned again, and what is still to come is what the first run
        would have given. Of a stream it needs windows without late rows and early panes.
    hot_key_shards : int, default=1
        Into how many parts the rows of each key are dealt before they are added up, for runners
        that add up the rows of one key on one worker. Not for session windows: where one ends
        depends on all rows of its key.
    moments : {"all", "last", "none"} or int, default="all"
        Which checkpoints hold the moments, which only going on needs, and which may be most of
        their bytes: all; the last of those that a key has at a time; that and every k-th; none,
        so that no job can go on from them. A key's running state always has them. A job that is to
        be run again after a crash (`rerun`) wants all: it may have been killed before a last one.
    bad_rows : bool, default=False
        True: rows that cannot be used are an output of their own, with the reason, and `Learned` is
        returned. False: the first of them fails the pipeline, with the same reason.
    **options
        Of `StreamingPCA`, except `half_life`, which is one of time here.

    Notes
    -----
    In the windows of the input, rows are reduced to moments (`MomentsFn`); these go to one stateful
    DoFn per key in the global window (`CarryModel`), which adds them up in event-time order. Where
    the order of rows matters (``solver="first_order"``, ``forgetting_factor``,
    ``missing="impute"``, ``memory="minibatch"``), the rows themselves go there, in event-time
    order; those of a window of a key must then fit into a worker's memory.

    Rows later than the watermark, as far as the input's allowed lateness takes them, make a
    checkpoint of their window again, marked `late`. Of several checkpoints of a window, that with
    the highest `sequence` is the last word: early ones come first, late ones last.

    Counters in namespace "streampca": `rows` read, `bad_rows`, `learned_rows` (`rows` minus these
    came too late, once all windows have ended), `checkpoints`, `late_checkpoints`,
    `early_checkpoints`, `forgotten_keys`.

    Examples
    --------
    >>> import apache_beam as beam
    >>> import numpy as np
    >>> from apache_beam.transforms.window import FixedWindows, TimestampedValue
    >>> rows = np.random.default_rng(0).normal(size=(100, 3)) * [1.0, 3.0, 2.0]
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     _ = (
    ...         pipeline
    ...         | beam.Create([TimestampedValue(row, second) for second, row in enumerate(rows)])
    ...         | beam.WindowInto(FixedWindows(50))
    ...         | LearnComponents(2)
    ...         | beam.Map(lambda keyed: print(keyed[1]))
    ...     )
    Checkpoint(key=None, window_end=1970-01-01T00:00:50Z, sequence=0, 50 rows, 2 of 3)
    Checkpoint(key=None, window_end=1970-01-01T00:01:40Z, sequence=1, 100 rows, 2 of 3)
    """

    def __init__(
        self,
        n_components: int | float | str | None = None,
        *,
        features: Sequence[str] | int | None = None,
        carry: bool = True,
        half_life: Seconds | None = None,
        early_every: Seconds | None = None,
        idle_timeout: Seconds | None = None,
        resume_from: str | os.PathLike[str] | None = None,
        rerun: bool = False,
        hot_key_shards: int = 1,
        moments: str | int = "all",
        bad_rows: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self._asked = Options.checked(
            {"n_components": n_components, **options},
            features=features,
            carry=carry,
            half_life=half_life,
            early_every=early_every,
            idle_timeout=idle_timeout,
            resume_from=resume_from,
            hot_key_shards=hot_key_shards,
            moments=moments,
            bad_rows=bad_rows,
            rerun=rerun,
        )

    @property
    def needs_rows(self) -> bool:
        """Whether the order of the rows matters, so that they are kept until their window ends."""
        return self._asked.needs_rows

    def expand(self, rows: Any) -> Any:
        """Build the steps."""
        asked, windowing = self._asked, rows.windowing
        refuse_splits(rows.pipeline)
        asked.check_windows(windowing.windowfn)
        streaming = rows.pipeline.options.view_as(StandardOptions).streaming
        unending = streaming or not rows.is_bounded
        late = windowing.allowed_lateness.micros > 0
        if asked.rerun and unending and (late or asked.early_every):
            raise ValueError(
                "rerun=True of a stream needs no allowed lateness, and no early_every: a "
                "checkpoint would not say which rows of its window it has"
            )
        overlapping = isinstance(windowing.windowfn, SlidingWindows)
        if overlapping:
            rows |= "OneCopy" >> beam.ParDo(OneCopy(windowing.windowfn))
        elif is_foreign(windowing.windowfn):
            rows |= "OneWindow" >> beam.ParDo(OneWindow(windowing.windowfn))
        blocks, bad_rows = self._read(rows)
        wanted = self._first_windowing(windowing, unending)
        # Always, so that no option adds a step; but for sessions, where it costs as much as all
        # else that is done to a row, and no option wants other ones.
        if not isinstance(windowing.windowfn, Sessions) or wanted != windowing:
            blocks |= "Slots" >> beam.WindowInto(
                wanted, allowed_lateness=windowing.allowed_lateness
            )
        carry = self._carry(rows.pipeline, windowing, not unending)
        checkpoints = (
            self._grouped(blocks, windowing.windowfn)
            | "Global" >> beam.WindowInto(GlobalWindows())
            | "CarryModel" >> carry.with_output_types(tuple[Key, Checkpoint])
            | "Windows" >> beam.WindowInto(windowing, allowed_lateness=windowing.allowed_lateness)
        )
        if overlapping:
            checkpoints |= "OwnWindow" >> beam.ParDo(OwnWindow()).with_output_types(
                tuple[Key, Checkpoint]
            )
        return Learned(checkpoints, bad_rows) if asked.bad_rows else checkpoints

    def _read(self, rows: Any) -> tuple[Any, Any]:
        asked = self._asked
        fixed = isinstance(rows.windowing.windowfn, (FixedWindows, GlobalWindows))
        reads: type[ReadBlocks] = GatherBlocks if fixed else ReadBlocks
        if asked.needs_rows:
            reads = TimedBlocks
        read = reads(RowReader(**asked.reading()), asked.bad_rows, asked.hot_key_shards)
        step = beam.ParDo(read).with_output_types(tuple[str, BLOCKS])
        # Two outputs in any case: a step with one has another name.
        blocks, bad_rows = rows | "ReadRows" >> step.with_outputs(BAD_ROWS, main="blocks")
        return blocks, bad_rows if asked.bad_rows else None

    def _grouped(self, blocks: Any, windowfn: WindowFn) -> Any:
        """What was learned of each slot and key, or its rows, tagged with their windows."""
        asked = self._asked
        tag: TagWindow
        if asked.needs_rows:
            grouped = blocks | "Moments" >> Grouped()
            tag = TagRows(windowfn, asked.carry)
        else:
            moments = RowsOrMomentsFn(features=asked.features, **asked.options)
            combine = beam.CombinePerKey(moments).with_output_types(tuple[str, bytes])
            grouped = blocks | "Moments" >> combine
            tag = TagWindow(windowfn, asked.carry)
        return grouped | "TagWindow" >> beam.ParDo(tag).with_output_types(tuple[str, Arrived])

    def _carry(self, pipeline: Any, windowing: Any, bounded: bool) -> Any:
        asked = self._asked
        learning = asked.learning(windowing.allowed_lateness, bounded)
        if asked.resume_from is None:
            return beam.ParDo(CarryModel(learning))
        points = resume_points(pipeline, asked.resume_from, asked.rerun)
        if asked.rerun:
            again = RerunModel(learning, asked.resume_from, windowing.windowfn)
            return beam.ParDo(again, points)
        return beam.ParDo(ResumeModel(learning, asked.resume_from), points)

    def _first_windowing(self, windowing: Any, unending: bool) -> Any:
        """The windows in which rows are grouped."""
        early = self._asked.early_every
        if not unending or windowing.windowfn.is_merging():
            trigger = at_the_end(windowing.triggerfn)
        elif early is None:
            trigger = also_at_the_end(windowing.triggerfn)
        else:
            trigger = early_trigger(early)
        return Windowing(
            slots(windowing.windowfn) if self._asked.carry else windowing.windowfn,
            trigger,
            AccumulationMode.DISCARDING,  # what a row adds must arrive once
            TimestampCombiner.OUTPUT_AT_EOW,
            windowing.allowed_lateness,
        )

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return self._asked.display_data()
