"""Going on where an earlier job stopped: its checkpoints become the first state of each key.

Which checkpoint that is has to be settled before this job writes its own into the same store:
otherwise a bundle that is retried would go on from what its first attempt had learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsMultiMap
from apache_beam.transforms.window import GlobalWindows, Sessions, WindowFn
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.learning.carry import CarryModel
from beam_pipelines.learning.pending import Arrived, Pending
from beam_pipelines.learning.running import Learning, differing
from beam_pipelines.rows import LAST_OF_ALL, Span, key_text, moments_to_bytes
from beam_pipelines.stores import open_store
from streampca.checkpoint import Checkpoint, to_state
from streampca.moments import moments_from_state

_Name = tuple[int | None, int]  # window end and sequence of a checkpoint

Point = tuple[_Name, _Name, list[_Name]]
"""The checkpoint to go on from, the one of the newest window, and the last word on each window
that may have been open when the other job stopped."""


def resume_points(pipeline: Any, store: str, rerun: bool = False) -> AsMultiMap:
    """Where each key of a store is to go on from, as a side input."""
    points = _rerun_points if rerun else _points
    return AsMultiMap(
        pipeline
        | "ResumeStore" >> beam.Create([store], reshuffle=False)
        | "ResumeKeys" >> beam.FlatMap(_keys).with_output_types(tuple[str, str])
        | "ResumeSpread" >> beam.Reshuffle()
        | "ResumePoints" >> beam.FlatMap(points).with_output_types(tuple[str, Point])
    )


def _keys(store: str) -> list[tuple[str, str]]:
    keys = open_store(store).keys()
    return [(store, key_text(key)) for key in keys]


def _points(place: tuple[str, str]) -> Iterator[tuple[str, Point]]:
    uri, text = place
    store, key = open_store(uri), json.loads(text)
    found = store.resume_point(key, moments=False)
    newest = store.latest(key, moments=False)
    if found is None or newest is None:
        return
    # A drained job closes all windows that it has rows of: those overlap the newest of them.
    since = newest.window_start
    last = dict(store.written(key))  # oldest first: the last word on each window
    half_done = [(end, n) for end, n in last.items() if end is None or since is None or end > since]
    yield text, (_name(found), _name(newest), half_done)


def _rerun_points(place: tuple[str, str]) -> Iterator[tuple[str, Point]]:
    """The last of the checkpoints that a key has without a gap.

    Workers write them in any order, and a job that is killed has written any of them. They are
    numbered in the order of their windows, so those that follow a gap, or begin anew after a silent
    time, are made again.
    """
    uri, text = place
    store, key = open_store(uri), json.loads(text)
    names = store.written(key)
    last = next((i for i, (_, n) in enumerate(names) if n != i), len(names))
    for name in reversed(names[:last]):
        if store.read(key, *name, moments=False) is not None:  # else torn: it is made again, too
            yield text, (name, name, [])
            return


def _name(checkpoint: Checkpoint) -> _Name:
    return checkpoint.window_end, checkpoint.sequence


class ResumeModel(CarryModel):
    """`CarryModel` whose keys begin where a store says.

    Parameters
    ----------
    learning : Learning
        How every key learns.
    store : str
        Of an earlier job.
    """

    _begins_empty = False

    def __init__(self, learning: Learning, store: str) -> None:
        super().__init__(learning)
        self._store = store

    def process(  # type: ignore[override]
        self,
        element: tuple[str, Arrived],
        points: Any,
        pending: Any = beam.DoFn.StateParam(CarryModel.PENDING),  # noqa: B008
        timer: Any = beam.DoFn.TimerParam(CarryModel.WINDOW_END),  # noqa: B008
        model: Any = beam.DoFn.StateParam(CarryModel.MODEL),  # noqa: B008
        closed: Any = beam.DoFn.StateParam(CarryModel.CLOSED),  # noqa: B008
        sequence: Any = beam.DoFn.StateParam(CarryModel.SEQUENCE),  # noqa: B008
    ) -> Iterator[Any]:
        """Begin where the store says, then as always."""
        text = element[0]
        if model.read() is None:
            for point in points[text]:
                self._begin(json.loads(text), point, pending, model, closed, sequence)
        yield from super().process(element, pending, timer, model, closed, sequence)

    def _begin(
        self, key: Any, point: Point, pending: Any, model: Any, closed: Any, sequence: Any
    ) -> None:
        found, (newest, _), half_done = point
        state = self._read(key, found)
        model.write(to_state(state))
        sequence.write(state.sequence + 1)
        if self._learning.carry:
            if newest is not None:
                closed.write(newest - 1)
            return
        # Each window is of its own rows: what the other job knew of those half done is theirs.
        since = None
        for name in half_done:
            window = self._read(key, name)
            since = window.window_start
            pending.add(tuple(_kept(window)))
        if since is not None:
            closed.write(since - 1)

    def _read(self, key: Any, name: _Name) -> Checkpoint:
        found = open_store(self._store).read(key, *name)
        if found is None:
            raise ValueError(
                f"key {key!r}: its checkpoint of window end {name[0]}, sequence {name[1]} in "
                f"{self._store!r} has gone or cannot be read"
            )
        if not found.moments:
            raise ValueError(
                f"cannot go on from {found!r} in {self._store!r}: it was stored without moments, "
                "which only transforming can do without"
            )
        return found


class RerunModel(ResumeModel):
    """`ResumeModel` for the input of the job that wrote the store: what that had learned is known.

    On bounded input a window is closed when all rows are there, and the windows of a key in the
    order of their ends: so a checkpoint has all rows of its key in windows that end no later.

    Parameters
    ----------
    learning, store
        As in `ResumeModel`.
    windowfn : WindowFn
        Windows of the input.
    """

    def __init__(self, learning: Learning, store: str, windowfn: WindowFn) -> None:
        super().__init__(learning, store)
        self._windowfn = windowfn

    def process(  # type: ignore[override]
        self,
        element: tuple[str, Arrived],
        points: Any,
        pending: Any = beam.DoFn.StateParam(CarryModel.PENDING),  # noqa: B008
        timer: Any = beam.DoFn.TimerParam(CarryModel.WINDOW_END),  # noqa: B008
        model: Any = beam.DoFn.StateParam(CarryModel.MODEL),  # noqa: B008
        closed: Any = beam.DoFn.StateParam(CarryModel.CLOSED),  # noqa: B008
        sequence: Any = beam.DoFn.StateParam(CarryModel.SEQUENCE),  # noqa: B008
    ) -> Iterator[Any]:
        """Pass over what the store has; begin where it ends with the first row that it has not."""
        text, (_, arrived) = element
        for _, (end, _), _ in points[text]:
            if end is None or arrived[0] < end:
                return
        yield from super().process(element, points, pending, timer, model, closed, sequence)

    def _begin(
        self, key: Any, point: Point, pending: Any, model: Any, closed: Any, sequence: Any
    ) -> None:
        # All windows of before are complete, those of their own rows too.
        name, _, _ = point
        state = self._read(key, name)
        model.write(to_state(state))
        sequence.write(state.sequence + 1)
        assert state.window_end is not None
        closed.write(state.window_end - 1)

    def _read(self, key: Any, name: _Name) -> Checkpoint:
        found = super()._read(key, name)
        changed = differing(self._learning.options, found)
        if changed:
            raise ValueError(
                f"key {key!r}: {found!r} in {self._store!r} was learned with other options, "
                f"{changed}: run the job again as it was, or into another store"
            )
        if not self._has(found):
            raise ValueError(
                f"key {key!r}: {found!r} in {self._store!r} is of other windows: run the job again "
                "as it was, or into another store"
            )
        return found

    def _has(self, found: Checkpoint) -> bool:
        start, end = found.window_start, found.window_end
        if start is None or end is None:
            return isinstance(self._windowfn, GlobalWindows)
        if isinstance(self._windowfn, (GlobalWindows, Sessions)):
            return isinstance(self._windowfn, Sessions)
        context = WindowFn.AssignContext(Timestamp(micros=start))
        return Span(end, start) in map(Span.of, self._windowfn.assign(context))


def _kept(window: Checkpoint) -> Pending:
    """What a window's checkpoint has learned, for rows of that window that are still to come."""
    moments = moments_from_state(window.moments_kind, window.moments)
    data = moments_to_bytes(moments, window.feature_names)
    start, end = window.window_start, window.window_end
    if start is None or end is None:
        return Pending(LAST_OF_ALL, 0, 0, 1, 0, data)
    return Pending(end - 1, start, end - start, 1, 0, data)
