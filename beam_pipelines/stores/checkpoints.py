"""Checkpoints as files of a store, on any file system that Beam has."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipelines.stores.filesystems import absolute, matching, open_store
from streampca.checkpoint import (
    Checkpoint,
    CheckpointError,
    CheckpointWarning,
    Key,
    all_in,
    rows_that_count,
)

UNREADABLE = "unreadable"

_MOST_WAITING, _MOST_BYTES = 2**14, 2**26
"""Checkpoints of a bundle that wait to be written together at most, and their bytes."""

_log = logging.getLogger(__name__)


_File = tuple[str, list[int] | None]
"""A path, and of many checkpoints which are not replaced by those in another file; None: all."""


class Unreadable(NamedTuple):
    """A file that holds no checkpoint."""

    path: str
    reason: str


class WriteCheckpoints(beam.PTransform):
    """Write checkpoints into a store that `streampca.CheckpointStore` reads.

    Takes ``(key, Checkpoint)`` or checkpoints and gives the paths of the files, each once, with the
    window and time of the newest checkpoint that was written with it. The checkpoints of a bundle
    go together into one file for each day of window ends, a single one into a file of its own. What
    a retried bundle writes replaces what it wrote before, and each file appears complete or not at
    all. A worker that is killed while it writes may leave a file in the folder ``.tmp``, which
    readers pass over and which may be deleted.

    Parameters
    ----------
    uri : str
        A folder on any file system that Beam has: local, ``gs://``, ``s3://``, ``hdfs://``.
    together : bool, default=True
        False: a file for each checkpoint, named by key, window end and sequence, which is written
        again in its place.

    Examples
    --------
    >>> import tempfile
    >>> import apache_beam as beam, numpy as np
    >>> from beam_pipelines import LearnComponents, WriteCheckpoints
    >>> from streampca import CheckpointStore
    >>> folder = tempfile.mkdtemp()
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     rows = pipeline | beam.Create([("press 4", np.eye(3))])
    ...     _ = rows | LearnComponents(2) | WriteCheckpoints(folder)
    >>> CheckpointStore(folder).latest("press 4").n_samples_seen
    3
    """

    def __init__(self, uri: str | os.PathLike[str], *, together: bool = True) -> None:
        super().__init__()
        self._uri = absolute(uri)
        self._together = together

    def expand(self, checkpoints: Any) -> Any:
        """Build the step."""
        write = _Write(self._uri) if self._together else _WriteEach(self._uri)
        return checkpoints | "Write" >> beam.ParDo(write).with_output_types(str)

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"uri": self._uri, "together": self._together}


class ReadCheckpoints(beam.PTransform):
    """Read the checkpoints of a store, or of the files that a pattern matches, as bounded input.

    Gives ``(key, Checkpoint)``, timestamped with the last instant of the checkpoint's window; of a
    store each once, of a pattern all that its files have. A store is not to be compacted or pruned
    while it is read here, since the files are listed first and read later. Files
    that are torn or foreign are skipped: named in a warning of the log, and counted in
    `unreadable_files`.

    Parameters
    ----------
    pattern : str
        A store's folder, or a pattern such as ``gs://bucket/store/*/w*.parquet``, on any file
        system that Beam has.
    moments : bool, default=True
        False leaves out, and does not read, what is only for going on.
    unreadable : bool, default=False
        True: a second output, tagged "unreadable", of `Unreadable(path, reason)`.

    Examples
    --------
    >>> import tempfile
    >>> import apache_beam as beam, numpy as np
    >>> from beam_pipelines import ReadCheckpoints
    >>> from streampca import CheckpointStore, StreamingPCA
    >>> folder = tempfile.mkdtemp()
    >>> model = StreamingPCA(1).fit(np.eye(3))
    >>> _ = CheckpointStore(folder).write(model.checkpoint(key=4, window_end=60_000_000))
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     _ = pipeline | ReadCheckpoints(folder) | beam.Map(print)
    (4, Checkpoint(key=4, window_end=1970-01-01T00:01:00Z, sequence=0, 3 rows, 1 of 3))
    """

    def __init__(
        self,
        pattern: str | os.PathLike[str],
        *,
        moments: bool = True,
        unreadable: bool = False,
    ) -> None:
        super().__init__()
        self._pattern = absolute(pattern)
        self._moments = moments
        self._unreadable = unreadable

    def expand(self, pipeline: Any) -> Any:
        """Build the steps."""
        read = beam.ParDo(_Read(self._moments, self._unreadable))
        read = read.with_output_types(tuple[Key, Checkpoint])
        if self._unreadable:
            read = read.with_outputs(UNREADABLE, main="checkpoints")
        return (
            pipeline
            | "Pattern" >> beam.Create([self._pattern], reshuffle=False)
            | "Match" >> beam.FlatMap(_matching).with_output_types(_File)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> read
        )

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"pattern": self._pattern, "moments": self._moments}


class _WriteEach(beam.DoFn):
    """Each checkpoint into a file of its own."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def setup(self) -> None:
        self._store = open_store(self._uri)

    def process(self, element: Any) -> Iterator[str]:
        yield self._store.write(_checkpoint(element))


class _Write(_WriteEach):
    """The checkpoints of a bundle into as few files as can be, once it ends.

    They wait no longer: what a bundle gives is lasting when the runner takes it as done.
    """

    def start_bundle(self) -> None:
        self._waiting: list[Checkpoint] = []
        self._n_bytes = 0
        self._newest: tuple[Any, Any] | None = None
        self._made: list[WindowedValue] = []

    def process(  # type: ignore[override]
        self,
        element: Any,
        window: Any = beam.DoFn.WindowParam,
        time: Any = beam.DoFn.TimestampParam,
    ) -> None:
        checkpoint = _checkpoint(element)
        self._waiting.append(checkpoint)
        if self._newest is None or time > self._newest[0]:
            self._newest = time, window
        arrays = [checkpoint.components, checkpoint.mean, *checkpoint.moments.values()]
        self._n_bytes += sum(array.nbytes for array in arrays)
        if self._n_bytes > _MOST_BYTES or len(self._waiting) >= _MOST_WAITING:
            self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        self._write()
        yield from self._made
        self.start_bundle()

    def _write(self) -> None:
        if self._newest is None:
            return
        time, window = self._newest
        if len(self._waiting) == 1:
            paths = [self._store.write(self._waiting[0])]
        else:
            paths = self._store.write_many(self._waiting)
        self._made += [WindowedValue(path, time, (window,)) for path in paths]
        self._waiting, self._n_bytes, self._newest = [], 0, None


def _checkpoint(element: Any) -> Checkpoint:
    found: Checkpoint = element[1] if isinstance(element, tuple) else element
    return found


class _Read(beam.DoFn):
    def __init__(self, moments: bool, unreadable: bool) -> None:
        self._moments = moments
        self._tell = unreadable
        self._unreadable = Metrics.counter("streampca", "unreadable_files")
        self._read = Metrics.counter("streampca", "checkpoints_read")

    def process(self, place: _File) -> Iterator[Any]:
        path, rows = place
        try:
            # Beam would take a compressed file by its name; ours are Parquet, whatever the name.
            with FileSystems.open(path, "application/octet-stream") as file:
                found = list(all_in(file.read(), moments=self._moments, which=rows))
        except CheckpointError as error:
            self._unreadable.inc()
            _log.warning("Skipped %s: %s", path, error)
            if self._tell:
                yield TaggedOutput(UNREADABLE, Unreadable(path, str(error)))
            return
        for checkpoint in found:
            self._read.inc()
            end = checkpoint.window_end
            when = MIN_TIMESTAMP if end is None else Timestamp(micros=end - 1)
            yield TimestampedValue((checkpoint.key, checkpoint), when)


def _matching(pattern: str) -> list[_File]:
    """Files of a store or a pattern; those of a writer that was killed begin with a dot."""
    counting: dict[str, list[int]] = {}
    if not any(sign in pattern for sign in "*?["):
        with warnings.catch_warnings():  # what cannot be read is told when it is read
            warnings.simplefilter("ignore", CheckpointWarning)
            rows = rows_that_count(open_store(pattern).places)
        counting = {FileSystems.join(pattern, *name.split("/")): of for name, of in rows.items()}
        pattern = FileSystems.join(pattern, "*", "*.parquet")
    paths = matching(pattern)
    paths = [path for path in paths if not FileSystems.split(path)[1].startswith((".", "_"))]
    return [(path, counting.get(path)) for path in paths]
