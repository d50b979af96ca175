"""How far a job has read a topic: what its checkpoints have, and where what they lack begins.

A checkpoint of a key has all of its rows in windows that end no later. For all keys together this
file, beside the checkpoints, says: up to which time all that is to be written has been written, and
the offset of each partition before which there is no row of that time or later.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import apache_beam as beam
from apache_beam.coders import TupleCoder, VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.run.record import read_value, write_beside
from beam_pipelines.sources import Mark
from streampca.wire import encode

NAME = "_progress.arrow"
"""Readers of stores pass over names that begin so."""

_KIND = "progress"

_PAUSE = 1.0
"""Seconds between two writings, where windows are closed faster."""


class Progress(NamedTuple):
    """How far a topic has been read."""

    topic: str  # its identity: another of the same name has another
    since: int | None  # microseconds; None: nothing is complete
    offsets: dict[int, int]  # by partition

    @classmethod
    def read(cls, store: str) -> Self | None:
        """What a store says; None if nothing.

        Raises
        ------
        ValueError
            If it cannot be read.
        """
        refusal = f"{NAME} in {store} does not say how far a topic was read"
        return read_value(store, NAME, _KIND, cls._of, refusal)

    @classmethod
    def _of(cls, meta: dict[str, Any]) -> Self:
        since = None if meta["since"] is None else int(meta["since"])
        offsets = {int(number): int(at) for number, at in meta["offsets"]}
        return cls(str(meta["topic"]), since, offsets)

    def write(self, store: str) -> None:
        """Write it in one step."""
        meta = {"topic": self.topic, "since": self.since, "offsets": sorted(self.offsets.items())}
        write_beside(store, NAME, encode(_KIND, {}, meta))


class KeepProgress(beam.PTransform):
    """Writes a store's progress as windows are closed.

    Takes the marks of `InOrder`, and what is written last of each window, in a tuple.

    Parameters
    ----------
    store : str
    topic : str
        Its identity.
    partitions : int
        How many there are.
    reach : int
        Microseconds that a window reaches back beyond the one that ended last.
    """

    def __init__(self, store: str, topic: str, partitions: int, reach: int) -> None:
        super().__init__()
        self._keep = _Keep(store, topic, partitions, reach)

    def expand(self, inputs: Any) -> Any:
        """Build the steps."""
        marks, *written = inputs
        kind = tuple[str, Any]
        notes = [
            each
            | f"Noted{number}" >> beam.Map(_note).with_output_types(kind)
            | f"Global{number}" >> beam.WindowInto(GlobalWindows())
            for number, each in enumerate(written)
        ]
        known = marks | "Marks" >> beam.Map(_marked).with_output_types(kind)
        return (known, *notes) | beam.Flatten() | "Keep" >> beam.ParDo(self._keep)


def _note(_: Any) -> tuple[str, None]:
    """The same element for whatever has been written."""
    return "all", None


def _marked(mark: Mark) -> tuple[str, tuple[int, int, int]]:
    partition, micros, offset = mark
    return "all", (partition, micros, offset)


class _Keep(beam.DoFn):
    MARKS = BagStateSpec("marks", TupleCoder([VarIntCoder()] * 3))
    PASSED = TimerSpec("passed", TimeDomain.WATERMARK)

    def __init__(self, store: str, topic: str, partitions: int, reach: int) -> None:
        self._store, self._topic = store, topic
        self._partitions, self._reach = partitions, reach

    def setup(self) -> None:
        self._written = float("-inf")

    def process(
        self,
        element: tuple[str, Any],
        marks: Any = beam.DoFn.StateParam(MARKS),  # noqa: B008
        passed: Any = beam.DoFn.TimerParam(PASSED),  # noqa: B008
    ) -> None:
        if element[1] is None:
            return
        mark = Mark(*element[1])
        marks.add(tuple(mark))
        passed.set(Timestamp(micros=mark.micros), dynamic_timer_tag=str(mark.micros))

    @on_timer(PASSED)
    def keep(
        self,
        now: Timestamp = beam.DoFn.TimestampParam,  # type: ignore[assignment]
        marks: Any = beam.DoFn.StateParam(MARKS),  # noqa: B008
    ) -> Iterator[Any]:
        """All that belongs before this time has been written."""
        if time.monotonic() < self._written + _PAUSE:
            return
        since = now.micros - self._reach
        wanted = [mark for mark in (Mark(*each) for each in marks.read()) if mark.micros >= since]
        offsets: dict[int, int] = {}
        for mark in wanted:
            offsets[mark.partition] = min(mark.offset, offsets.get(mark.partition, mark.offset))
        if len(offsets) < self._partitions:
            return  # of a partition nobody knows: what is written stays true
        Progress(self._topic, since, offsets).write(self._store)
        self._written = time.monotonic()
        marks.clear()
        for mark in wanted:
            marks.add(tuple(mark))
        yield since
