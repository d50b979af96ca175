"""Bad rows of a stream that does not end: a file of them for each span of time, when it has passed.

A file has all of its span, in an order of their own, so that a job that goes on after a crash
writes the same files again.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows
from apache_beam.utils.timestamp import Duration

from beam_pipelines.rows import BadRow
from beam_pipelines.run.record import write_beside


def bad_line(bad: BadRow) -> str:
    """A bad row as a line of JSON."""
    return json.dumps({"reason": bad.reason, "key": bad.key, "row": bad.element}, default=str)


class WriteBadFiles(beam.PTransform):
    """BadRows of a stream -> files in a folder, the path of each.

    Parameters
    ----------
    folder : str
    span : int
        Microseconds that a file covers.
    lateness : float
        Seconds that they may come late.
    """

    def __init__(self, folder: str, span: int, lateness: float = 0.0) -> None:
        super().__init__()
        self._folder, self._span, self._lateness = folder, span, lateness

    def expand(self, bad: Any) -> Any:
        """Build the steps."""
        windows = beam.WindowInto(
            FixedWindows(Duration(micros=self._span)),
            trigger=AfterWatermark(late=AfterCount(1)),
            accumulation_mode=AccumulationMode.ACCUMULATING,  # a file is written again complete
            allowed_lateness=self._lateness,
        )
        return (
            bad
            | "Spans" >> windows
            | "Lines" >> beam.Map(_keyed_line).with_output_types(tuple[str, str])
            | "Together" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_Write(self._folder)).with_output_types(str)
        )


def _keyed_line(bad: BadRow) -> tuple[str, str]:
    return "bad", bad_line(bad)


class _Write(beam.DoFn):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(
        self, element: tuple[str, Iterable[str]], window: Any = beam.DoFn.WindowParam
    ) -> Iterable[str]:
        start = datetime.datetime.fromtimestamp(window.start.micros / 1e6, datetime.UTC)
        name = f"bad-{start:%Y-%m-%dT%H-%M-%S.%fZ}.jsonl"
        lines = "".join(f"{line}\n" for line in sorted(element[1]))
        write_beside(self._folder, name, lines.encode())
        yield FileSystems.join(self._folder, name)
