"""Going on where an earlier job stopped: its checkpoints become the first state of each key.

Which checkpoint that is has to be settled before this job writes its own into the same store:
otherwise a bundle that is retried would go on from what its first attempt had learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsMultiMap

from beam_pipelines.dofn import CarryModel
from beam_pipelines.pending import Arrived
from beam_pipelines.rows import key_text
from beam_pipelines.running import Learning
from streampca import CheckpointStore

Point = tuple[int | None, int, int | None]
"""Window end and sequence of the checkpoint to go on from, and the newest window end."""


def resume_points(pipeline: Any, store: str) -> AsMultiMap:
    """Where each key of a store is to go on from, as a side input."""
    return AsMultiMap(
        pipeline
        | "ResumeStore" >> beam.Create([store], reshuffle=False)
        | "ResumeKeys" >> beam.FlatMap(_keys).with_output_types(tuple[str, str])
        | "ResumeSpread" >> beam.Reshuffle()
        | "ResumePoints" >> beam.FlatMap(_points).with_output_types(tuple[str, Point])
    )


def _keys(store: str) -> list[tuple[str, str]]:
    keys = CheckpointStore(store).keys()
    return [(store, key_text(key)) for key in keys]


def _points(place: tuple[str, str]) -> Iterator[tuple[str, Point]]:
    uri, text = place
    store, key = CheckpointStore(uri), json.loads(text)
    found = store.resume_point(key, moments=False)
    newest = store.latest(key, moments=False)
    if found is not None and newest is not None:
        yield text, (found.window_end, found.sequence, newest.window_end)


class ResumeModel(CarryModel):
    """`CarryModel` whose keys begin where a store says.

    Parameters
    ----------
    learning : Learning
        How every key learns.
    store : str
        Of an earlier job.
    """

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
            self._begin(text, points[text], model, closed, sequence)
        yield from super().process(element, pending, timer, model, closed, sequence)

    def _begin(
        self, text: str, points: Iterable[Point], model: Any, closed: Any, sequence: Any
    ) -> None:
        for end, number, newest in points:
            found = CheckpointStore(self._store).read(json.loads(text), end, number)
            if found is None:
                raise ValueError(
                    f"key {json.loads(text)!r}: its checkpoint of window end {end}, sequence "
                    f"{number} in {self._store!r} has gone or cannot be read"
                )
            if not found.moments:
                raise ValueError(
                    f"cannot go on from {found!r} in {self._store!r}: it was stored without "
                    "moments, which only transforming can do without"
                )
            model.write(found.to_bytes())
            sequence.write(number + 1)
            if newest is not None:
                closed.write(newest - 1)
