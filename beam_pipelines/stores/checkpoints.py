"""Checkpoints as files of a store, on any file system that Beam has."""

from __future__ import annotations

import logging
import uuid
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from beam_pipelines.stores.filesystems import absolute, is_beams, matching, open_store
from streampca import Checkpoint, CheckpointStore
from streampca.checkpoint import (
    CheckpointError,
    CheckpointWarning,
    all_in,
    relative_path,
    rows_that_count,
)

Key = str | int | None

UNREADABLE = "unreadable"

_OBJECT_STORES = ("gs", "s3", "azfs")
"""Their files appear whole, when they are closed, in the place of what was there before."""

_log = logging.getLogger(__name__)


_File = tuple[str, list[int] | None]
"""A path, and of many checkpoints which are not replaced by those in another file; None: all."""


class Unreadable(NamedTuple):
    """A file that holds no checkpoint."""

    path: str
    reason: str


class WriteCheckpoints(beam.PTransform):
    """Write checkpoints into a store that `streampca.CheckpointStore` reads.

    Takes ``(key, Checkpoint)`` or checkpoints and gives the paths of the files. A retried bundle
    writes the same files again, and each appears complete or not at all. A worker that is killed
    while it writes may leave a file whose name begins with a dot and ends with ``.tmp``, which
    readers pass over and which may be deleted.

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
            | "Match" >> beam.FlatMap(_matching).with_output_types(_File)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> read
        )

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"pattern": self._pattern, "moments": self._moments}


class _Write(beam.DoFn):
    def __init__(self, uri: str) -> None:
        self._uri = uri

    def process(self, element: Any) -> Iterator[str]:
        checkpoint = element[1] if isinstance(element, tuple) else element
        if not is_beams(self._uri):
            yield CheckpointStore(self._uri).write(checkpoint)
            return
        path = FileSystems.join(self._uri, *relative_path(checkpoint).split("/"))
        data = checkpoint.to_parquet_bytes()
        if FileSystems.get_scheme(self._uri) in _OBJECT_STORES:
            _upload(path, data)
        elif not _holds(path, data):  # a retry leaves the file alone: readers never see a gap
            _put(path, data)
        yield path


def _upload(path: str, data: bytes) -> None:
    with FileSystems.create(path, "application/octet-stream") as file:
        file.write(data)


def _holds(path: str, data: bytes) -> bool:
    if not FileSystems.exists(path):
        return False
    with FileSystems.open(path, "application/octet-stream") as file:
        return bool(file.read() == data)


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
