"""Checkpoints as files of a store, on any file system that Beam has."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from streampca import CheckpointStore
from streampca.checkpoint import relative_path


class WriteCheckpoints(beam.PTransform):
    """Write checkpoints into a store that `streampca.CheckpointStore` reads.

    Takes ``(key, Checkpoint)`` or checkpoints and gives the paths of the files. A retried bundle
    writes the same files again, and each appears whole or not at all.

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
        self._uri = uri

    def expand(self, checkpoints: Any) -> Any:
        """Build the step."""
        return checkpoints | "Write" >> beam.ParDo(_Write(self._uri)).with_output_types(str)

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"uri": self._uri}


class _Write(beam.DoFn):
    def __init__(self, uri: str) -> None:
        self._uri = uri

    def process(self, element: Any) -> Iterator[str]:
        checkpoint = element[1] if isinstance(element, tuple) else element
        if FileSystems.get_scheme(self._uri) is None:
            yield CheckpointStore(self._uri).write(checkpoint)
            return
        path = FileSystems.join(self._uri, *relative_path(checkpoint).split("/"))
        folder, name = FileSystems.split(path)
        # The store passes over names with a dot: a writer that was killed leaves only such a one.
        temporary = FileSystems.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
        if not FileSystems.exists(folder):
            FileSystems.mkdirs(folder)
        with FileSystems.create(temporary, "application/octet-stream") as file:
            file.write(checkpoint.to_parquet_bytes())
        if FileSystems.exists(path):
            FileSystems.delete([path])
        FileSystems.rename([temporary], [path])
        yield path
