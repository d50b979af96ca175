"""Files on any file system that Beam has, as sources of `streampca.files`."""

from __future__ import annotations

from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_pipelines.stores import is_beams, matching
from streampca.files import STDIN, Source, local_path, names

TOPICS = ("kafka://", "pubsub://")
"""Beginnings of addresses that are not files."""


class BeamSource(Source):
    """A file that Beam opens, with its credentials and options."""

    is_pipe = False

    @property
    def size(self) -> int | None:
        """Bytes stored."""
        (match,) = FileSystems.match([self.path])
        return int(match.metadata_list[0].size_in_bytes) if match.metadata_list else None

    def open_raw(self) -> Any:
        """The file as it is stored."""
        try:
            file = FileSystems.open(self.path, compression_type=CompressionTypes.UNCOMPRESSED)
        except BeamIOError as error:
            raise ValueError(f"{self.path}: cannot be opened ({error})") from error
        return _File(file)

    def has_grown(self) -> bool:
        """Never: files of object stores appear complete."""
        return False


class _File:
    """What Beam opens, as Arrow wants it: of some of Beam's, `closed` is a method and no answer."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.closed = False
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it can be searched."""
        return True

    def close(self) -> None:
        """Close it."""
        self.closed = True
        self._file.close()


def source_of(path: str, form: str | None) -> Source:
    """The source of one path, on a worker as where the job is started."""
    kind = BeamSource if local_path(path) is None and is_beams(path) else Source
    return names.made(path, form, kind)


def find_files(patterns: list[str], form: str | None = None) -> list[Source]:
    """Return the files that match, each once, sorted.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or a file is of no type that can be read.
    """
    paths: set[str] = set()
    topics = [pattern for pattern in patterns if pattern.startswith(TOPICS)]
    if topics and len(patterns) > 1:
        raise ValueError(f"{topics[0]}: a topic is the only input of a job: leave the others out")
    for pattern in patterns:
        if local_path(pattern) is not None or not is_beams(pattern):
            paths.update(source.path for source in names.find([pattern], form))
            continue
        try:
            found = matching(pattern)
        except (BeamIOError, ValueError) as error:
            raise ValueError(f"{pattern}: cannot be listed ({error})") from error
        if not found:
            raise ValueError(f"{pattern}: there is no such file")
        paths.update(found)
    if STDIN in paths:
        raise ValueError("standard input cannot be read by workers: give files")
    return [source_of(path, form) for path in sorted(paths)]
