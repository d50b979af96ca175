"""Files that are still to come: which are there, when they count, how far their times have come.

Beam's `Watch` polls and hands each file out once; what it is told about times closes the windows.
What files hold is for `streampca.files` to say.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.sources.formats import source_of
from streampca.files import Columns, read_source

_log = logging.getLogger(__name__)

_Stamp = tuple[int, float]
_Span = tuple[int, int]


class Watching(NamedTuple):
    """How files are watched for, in seconds."""

    every: float
    delay: float = 0.0  # how much older than the newest row a file's rows may be
    total: float | None = None  # None: until somebody ends it


class WatchFiles(beam.PTransform):
    """Patterns -> the files that match them, each once, as `ReadRows` reads them.

    Parameters
    ----------
    patterns : sequence of str
    columns, asked
        As in `ReadRows`.
    watching : Watching
    """

    def __init__(
        self, patterns: Sequence[str], columns: Columns, asked: dict[str, Any], watching: Watching
    ) -> None:
        super().__init__()
        self._patterns = json.dumps(list(patterns))
        self._watching = watching
        self._poll = Poll(columns, asked, watching)

    def expand(self, pipeline: Any) -> Any:
        """Build the steps."""
        watch, total = watch_of_beam(), self._watching.total
        ends = watch.never() if total is None else watch.after_total_of(total)
        coder = beam.coders.StrUtf8Coder()
        every = watch.Watch(self._poll, self._watching.every, ends, output_coder=coder)
        return (
            pipeline
            | "Patterns" >> beam.Create([self._patterns], reshuffle=False)
            | "Watch" >> every
            | "Part" >> beam.Map(_part).with_output_types(tuple[int, str, int, bool])
        )


def watch_of_beam() -> Any:
    """Beam's module of the transform and of its conditions to end.

    Raises
    ------
    ValueError
        If this Beam has none.
    """
    try:
        from apache_beam.io import watch
    except ImportError as error:
        raise ValueError(
            f"--watch needs apache-beam 2.77 or newer, and this is {beam.version.__version__}"
        ) from error
    return watch


def _part(watched: tuple[str, str]) -> tuple[int, str, int, bool]:
    """A file as `ReadRows` numbers it: by its name, which no later file changes."""
    _, path = watched
    digest = hashlib.blake2b(path.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4]), path, int.from_bytes(digest[4:]), False


class Poll:
    """Which files are there and complete, each at the time of its first row.

    A file is complete when its size and time have stayed for as long as a poll is from the next.
    The watermark is the time of the newest row, less the delay.
    """

    def __init__(self, columns: Columns, asked: dict[str, Any], watching: Watching) -> None:
        narrow = len(columns.features) == len(columns.names)  # else one column of lists
        first = slice(0, 1) if narrow else slice(None)
        self._columns = dataclasses.replace(
            columns, features=columns.features[first], names=columns.names[first]
        )
        self._asked = asked
        self._watching = watching
        self._before: dict[str, _Stamp] = {}
        self._known: dict[str, tuple[_Stamp, _Span | None]] = {}
        self._told: set[tuple[str, _Stamp]] = set()

    def __call__(self, patterns: str) -> Any:
        """All files there are, and the watermark."""
        from apache_beam.io.watch import PollResult

        now = time.time()
        found = _listed(json.loads(patterns))
        spans: dict[str, _Span | None] = {}
        for path, stamp in sorted(found.items()):
            if path in self._known:
                self._say_changed(path, stamp)
            elif self._before.get(path) == stamp or stamp[1] < now - self._watching.every:
                self._read(path, stamp)
            if path in self._known:
                spans[path] = self._known[path][1]
        self._before = found
        newest = max((span[1] for span in spans.values() if span is not None), default=None)
        # a file without a row that can be used has no time, and is handed out for its bad rows
        times = {path: span[0] if span else newest or 0 for path, span in spans.items()}
        outputs = [TimestampedValue(path, Timestamp(micros=at)) for path, at in times.items()]
        result = PollResult.incomplete(outputs)
        if newest is None:
            return result
        return result.with_watermark(Timestamp(micros=newest - round(self._watching.delay * 1e6)))

    def _read(self, path: str, stamp: _Stamp) -> None:
        """The times of the first and the last row of a file, if it can be read."""
        try:
            source = source_of(path, self._asked.get("input_format"))
            first = last = None
            for rows in read_source(source, self._asked, self._columns):
                if rows.times is not None and len(rows.times):
                    least, most = int(rows.times.min()), int(rows.times.max())
                    first = least if first is None else min(first, least)
                    last = most if last is None else max(last, most)
        except (ValueError, OSError, BeamIOError) as error:
            if (path, stamp) not in self._told:
                self._told.add((path, stamp))
                _log.warning("%s; it is tried again until it can be read", error)
            return
        span = None if first is None or last is None else (first, last)
        self._known[path] = stamp, span

    def _say_changed(self, path: str, stamp: _Stamp) -> None:
        if self._known[path][0] != stamp and (path, stamp) not in self._told:
            self._told.add((path, stamp))
            _log.warning("%s: has changed since it was read, and is not read again", path)


def _listed(patterns: Sequence[str]) -> dict[str, _Stamp]:
    found: dict[str, _Stamp] = {}
    for match in FileSystems.match(list(patterns)):
        for each in match.metadata_list:
            found[each.path] = int(each.size_in_bytes), float(each.last_updated_in_seconds or 0)
    return found
