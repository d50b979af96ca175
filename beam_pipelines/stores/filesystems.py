"""Stores of checkpoints on any file system that Beam has, as WriteCheckpoints writes them."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems
from pyarrow import fs

from streampca.checkpoint import CheckpointStore

_OBJECT_STORES = ("gs", "s3", "azfs")
"""Their files appear complete, when they are closed, in the place of what was there before."""

_BYTES = "application/octet-stream"

_WILDCARD = re.compile(r"[*?\[]")
_WILDCARD_LEVEL = re.compile(r"([^*?\[]*[*?\[][^/]*)(/.+)")
"""The first level of a path that has a wildcard, with what is above it; what is below it."""


def open_store(uri: str) -> CheckpointStore:
    """Return a store, through Beam where Beam has a file system for its URI.

    So it has the credentials and options of the pipeline; everything else is for `CheckpointStore`
    to know.

    Examples
    --------
    >>> import tempfile
    >>> open_store(tempfile.mkdtemp()).keys()
    []
    """
    uri = without_file_scheme(uri)
    if not is_beams(uri):
        return CheckpointStore(uri)
    files = _BeamFiles(appear_complete=FileSystems.get_scheme(uri) in _OBJECT_STORES)
    return CheckpointStore(uri, filesystem=fs.PyFileSystem(files))


def is_beams(uri: str) -> bool:
    """Whether a URI is of a file system that Beam has; a local folder is not."""
    if FileSystems.get_scheme(uri) is None:
        return False
    try:
        FileSystems.get_filesystem(uri)
    except ValueError:  # no such scheme, or what it needs is not installed
        return False
    return True


def matching(pattern: str) -> list[str]:
    """Return the paths of files that match a pattern, on every file system; none if none do.

    Beam matches what one listing returns: of the folder before the first wildcard with all that
    lies below it, or, on HDFS, without. There each level has to be listed by itself.
    """
    filesystem = FileSystems.get_filesystem(pattern)
    folder = pattern[: _WILDCARD.search(pattern + "*").start()].rpartition("/")[0]  # type: ignore[union-attr]
    if filesystem.has_dirs() and folder and not FileSystems.exists(folder):
        return []  # HDFS fails where others find nothing
    (match,) = FileSystems.match([pattern])
    found = {metadata.path for metadata in match.metadata_list}
    level = _WILDCARD_LEVEL.match(pattern)
    if filesystem.has_dirs() and level is not None:
        for above in matching(level[1]):
            found.update(_below(above, level[2]))
    return sorted(found)


def _below(above: str, rest: str) -> list[str]:
    try:
        return matching(above + rest)
    except BeamIOError:
        if _is_file(above):  # nothing tells a file from a folder before
            return []
        raise


def _is_file(path: str) -> bool:
    try:
        FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED).close()
    except (OSError, BeamIOError):
        return False
    return True


def without_file_scheme(uri: str) -> str:
    """Return the path of a ``file://`` URI, which Beam does not know; anything else as it is.

    Examples
    --------
    >>> without_file_scheme("file:///plant/press%204"), without_file_scheme("gs://plant")
    ('/plant/press 4', 'gs://plant')
    """
    if FileSystems.get_scheme(uri) != "file":
        return uri
    return url2pathname(urlsplit(uri).path)


def absolute(path: str | os.PathLike[str]) -> str:
    """Return a path as workers need it, whose working directory is another; a URI as it is.

    Examples
    --------
    >>> absolute("gs://plant/store"), absolute("file:///plant/store"), absolute("/plant//store")
    ('gs://plant/store', '/plant/store', '/plant/store')
    """
    found = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(found, str) or not found:
        raise ValueError(f"{path!r} is no path: give a file or folder ('.' is this one) or a URI")
    path = without_file_scheme(found)
    return path if FileSystems.get_scheme(path) else os.path.abspath(os.path.expanduser(path))


class _BeamFiles(fs.FileSystemHandler):
    """Beam's file systems as pyarrow's, as far as a store needs them.

    Parameters
    ----------
    appear_complete : bool
        Whether a file that is written appears when it is closed, in the place of what was there.
    """

    def __init__(self, *, appear_complete: bool) -> None:
        self.appear_complete = appear_complete

    def get_type_name(self) -> str:
        return "beam"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BeamFiles) and other.appear_complete == self.appear_complete

    def __hash__(self) -> int:
        return hash((_BeamFiles, self.appear_complete))

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return [_info(path) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """Files of a folder, and folders that have files: object stores know no others."""
        folder = selector.base_dir
        found = dict.fromkeys(matching(FileSystems.join(folder, "*")), fs.FileType.File)
        for path in matching(FileSystems.join(folder, "*", "*")):
            found[FileSystems.split(path)[0].rstrip("/")] = fs.FileType.Directory
        return [fs.FileInfo(path, kind) for path, kind in found.items()]

    def folders(self, base: str, prefix: str) -> list[str]:
        """Names of folders that have files; a prefix spares listing all others."""
        found = matching(FileSystems.join(base, f"{prefix}*", "*"))
        return sorted(
            {FileSystems.split(FileSystems.split(path)[0].rstrip("/"))[1] for path in found}
        )

    def open_input_file(self, path: str) -> pa.NativeFile:
        # Beam would take a compressed file by its name; ours are Parquet, whatever the name.
        if not FileSystems.exists(path):
            raise FileNotFoundError(path)
        file = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
        return pa.PythonFile(file, mode="r")

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        kind = CompressionTypes.UNCOMPRESSED
        return pa.PythonFile(FileSystems.create(path, _BYTES, kind), mode="w")

    def create_dir(self, path: str, recursive: bool) -> None:
        if FileSystems.exists(path):
            return
        try:
            FileSystems.mkdirs(path)
        except (OSError, BeamIOError):  # another worker was faster
            if not FileSystems.exists(path):
                raise

    def move(self, source: str, destination: str) -> None:
        """Rename a file, which here does not replace: one that says the same stays in its place.

        So who writes the same again, as a retry does, leaves no gap for readers.
        """
        if FileSystems.exists(destination):
            if _content(destination) == _content(source):
                FileSystems.delete([source])
                return
            FileSystems.delete([destination])
        FileSystems.rename([source], [destination])

    def delete_file(self, path: str) -> None:
        try:
            FileSystems.delete([path])
        except BeamIOError:  # another worker was faster
            if FileSystems.exists(path):
                raise

    def _not_of_a_store(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("a store of checkpoints does without")

    delete_dir = delete_dir_contents = delete_root_dir_contents = _not_of_a_store
    copy_file = open_append_stream = _not_of_a_store


def _info(path: str) -> fs.FileInfo:
    """The identity of a file, by which it is recognised later, and whether it is there."""
    if not FileSystems.exists(path):
        return fs.FileInfo(path, fs.FileType.NotFound)
    try:
        found = FileSystems.get_filesystem(path).metadata(path)
    except BeamIOError:  # it has gone since
        return fs.FileInfo(path, fs.FileType.NotFound)
    written = round((found.last_updated_in_seconds or 0) * 1e9)
    return fs.FileInfo(path, fs.FileType.File, size=found.size_in_bytes, mtime_ns=written)


def _content(path: str) -> bytes:
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return bytes(file.read())
