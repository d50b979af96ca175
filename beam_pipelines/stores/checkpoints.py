"""Checkpoints as files of a store, on any file system that Beam has."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipelines.stores.filesystems import absolute, is_beams, matching
from streampca import Checkpoint, CheckpointStore
from streampca.checkpoint import (
    GENERATION,
    Bundled,
    CheckpointError,
    all_in,
    bundled,
    relative_path,
)

Key = str | int | None

UNREADABLE = "unreadable"

_OBJECT_STORES = ("gs", "s3", "azfs")
"""Their files appear whole, when they are closed, in the place of what was there before."""

_TOGETHER = 8
"""From so many checkpoints of a bundle on one file is made of them, since a file costs what a
hundred rows do. Fewer keep names by which each is known."""

_MOST_WAITING, _MOST_BYTES = 2**14, 2**26
"""Checkpoints of a bundle that wait at most, and their bytes."""

_log = logging.getLogger(__name__)


class Unreadable(NamedTuple):
    """A file that holds no checkpoint."""

    path: str
    reason: str


class WriteCheckpoints(beam.PTransform):
    """Write checkpoints into a store that `streampca.CheckpointStore` reads.

    Takes ``(key, Checkpoint)`` or checkpoints and gives the paths of the files. Where a bundle has
    eight checkpoints or more, there is one file for all of them that end on a day. A retried bundle
    replaces what it wrote before, and each file appears complete or not at all. A worker that is
    killed while it writes may leave a file whose name begins with a dot and ends with ``.tmp``,
    which readers pass over and which may be deleted.

    Parameters
    ----------
    uri : str
        A folder on any file system that Beam has: local, ``gs://``, ``s3://``, ``hdfs://``.

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

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._uri = absolute(str(uri))

    def expand(self, checkpoints: Any) -> Any:
        """Build the step."""
        return checkpoints | "Write" >> beam.ParDo(_Write(self._uri)).with_output_types(str)

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"uri": self._uri}


class ReadCheckpoints(beam.PTransform):
    """Read the checkpoints of a store, or of the files that a pattern matches, as bounded input.

    Gives ``(key, Checkpoint)``, timestamped with the last instant of the checkpoint's window; a
    checkpoint that several files have, after retries, comes from each. Files
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

    def __init__(self, pattern: str, *, moments: bool = True, unreadable: bool = False) -> None:
        super().__init__()
        self._pattern = absolute(str(pattern))
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
            | "Match" >> beam.FlatMap(_matching).with_output_types(str)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> read
        )

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"pattern": self._pattern, "moments": self._moments}


class _Write(beam.DoFn):
    """Few checkpoints of a bundle go into files of their own, many into one for each day."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def start_bundle(self) -> None:
        self._waiting: list[Checkpoint] = []
        self._windows: list[Any] = []
        self._n_bytes = 0
        self._made: dict[tuple[str, Any], None] = {}

    def process(self, element: Any, window: Any = beam.DoFn.WindowParam) -> None:
        checkpoint = element[1] if isinstance(element, tuple) else element
        self._waiting.append(checkpoint)
        self._windows.append(window)
        arrays = [checkpoint.components, checkpoint.decoder, *checkpoint.moments.values()]
        self._n_bytes += sum(array.nbytes for array in arrays)
        if self._n_bytes > _MOST_BYTES or len(self._waiting) >= _MOST_WAITING:
            self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        self._write()
        for path, window in self._made:
            yield WindowedValue(path, window.max_timestamp(), (window,))

    def _write(self) -> None:
        checkpoints, windows = self._waiting, self._windows
        self._waiting, self._windows, self._n_bytes = [], [], 0
        if len(checkpoints) < _TOGETHER:
            paths = [self._put(relative_path(c), c.to_parquet_bytes()) for c in checkpoints]
            self._made |= dict.fromkeys(zip(paths, windows, strict=True))
            return
        if not is_beams(self._uri):
            made = CheckpointStore(self._uri).write_many(checkpoints)
        else:
            made = [self._put_many(each) for each in bundled(checkpoints, self._names)]
        for path in made:
            self._made |= dict.fromkeys((path, window) for window in dict.fromkeys(windows))

    def _names(self, folder: str) -> list[str]:
        """Files of many checkpoints of a day."""
        there = matching(FileSystems.join(self._uri, folder, "b-*"))
        return [FileSystems.split(path)[1] for path in there]

    def _put_many(self, each: Bundled) -> str:
        path = self._put(each.relative, each.data)
        older = [FileSystems.join(self._uri, *name.split("/")) for name in each.replaces]
        if older:  # readers that list meanwhile list again
            self._put(GENERATION, uuid.uuid4().bytes)
            _remove(older)
        return path

    def _put(self, relative: str, data: bytes) -> str:
        if not is_beams(self._uri):
            return CheckpointStore(self._uri).put(relative, data)
        path = FileSystems.join(self._uri, *relative.split("/"))
        if FileSystems.get_scheme(self._uri) in _OBJECT_STORES:
            _upload(path, data)
        elif not _holds(path, data):  # a retry leaves the file alone: readers never see a gap
            _put(path, data)
        return path


def _upload(path: str, data: bytes) -> None:
    with FileSystems.create(path, "application/octet-stream") as file:
        file.write(data)


def _holds(path: str, data: bytes) -> bool:
    """Whether a file has this content."""
    if not FileSystems.exists(path):
        return False
    with FileSystems.open(path, "application/octet-stream") as file:
        return bool(file.read() == data)


def _remove(paths: list[str]) -> None:
    """Remove files, which another worker may have done."""
    try:
        FileSystems.delete(paths)
    except BeamIOError:
        if any(map(FileSystems.exists, paths)):
            raise


def _put(path: str, data: bytes) -> None:
    """Write under a temporary name, then rename."""
    folder, name = FileSystems.split(path)
    temporary = FileSystems.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    if not FileSystems.exists(folder):
        try:
            FileSystems.mkdirs(folder)
        except (OSError, BeamIOError):  # another worker was faster
            if not FileSystems.exists(folder):
                raise
    try:
        _upload(temporary, data)
        if FileSystems.exists(path):  # other content: Beam's renames do not replace
            FileSystems.delete([path])
        FileSystems.rename([temporary], [path])
    except BaseException:
        if FileSystems.exists(temporary):
            FileSystems.delete([temporary])
        raise


class _Read(beam.DoFn):
    def __init__(self, moments: bool, unreadable: bool) -> None:
        self._moments = moments
        self._tell = unreadable
        self._unreadable = Metrics.counter("streampca", "unreadable_files")
        self._read = Metrics.counter("streampca", "checkpoints_read")

    def process(self, path: str) -> Iterator[Any]:
        try:
            # Beam would take a compressed file by its name; ours are Parquet, whatever the name.
            with FileSystems.open(path, "application/octet-stream") as file:
                found = all_in(file.read(), moments=self._moments)
            for checkpoint in found:
                self._read.inc()
                end = checkpoint.window_end
                when = MIN_TIMESTAMP if end is None else Timestamp(micros=end - 1)
                yield TimestampedValue((checkpoint.key, checkpoint), when)
        except CheckpointError as error:
            self._unreadable.inc()
            _log.warning("Skipped %s: %s", path, error)
            if self._tell:
                yield TaggedOutput(UNREADABLE, Unreadable(path, str(error)))


def _matching(pattern: str) -> list[str]:
    """Files of a store or a pattern; those of a writer that was killed begin with a dot."""
    if not any(sign in pattern for sign in "*?["):
        pattern = FileSystems.join(pattern, "*", "*.parquet")
    paths = matching(pattern)
    return [path for path in paths if not FileSystems.split(path)[1].startswith((".", "_"))]
