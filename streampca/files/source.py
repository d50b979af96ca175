"""Where rows come from: a file, a URI, standard input; its bytes, its format, whether it stays.

This room knows names and bytes; what the bytes hold is for formats.py.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import weakref
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from streampca.files.streams import Pipe, Stream, decompressed

STDIN = "-"

_BINARY = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\x93NUMPY": "npy",
    b"\xff\xff\xff\xff": "arrow",
}


class Source:
    """One file, URI or standard input, and the format of its rows.

    Parameters
    ----------
    path : str
        "-" is standard input.
    form : str, optional
        By default what the name says, or else the first bytes.
    partitions : dict, optional
        What the folders of the path say, as hive writes it: ``press=4/part.parquet``.
    """

    is_topic = False

    def __init__(
        self, path: str, form: str | None = None, partitions: dict[str, Any] | None = None
    ) -> None:
        self.path = path
        self.name = "standard input" if path == STDIN else path
        self.partitions = partitions or {}
        self._form = form
        self._opened: os.stat_result | None = None
        self.layout: Any = None  # what formats.layout returned
        self.text: Any = None  # a pipe's text, in UTF-8
        self.told = False  # whether it has been said how the file is read
        self.texts: Counter[str] = Counter()  # those taken for missing numbers

    @cached_property
    def is_pipe(self) -> bool:
        """Whether it opens once."""
        local = local_path(self.path)
        return self.path == STDIN or (local is not None and not os.path.isfile(local))

    @cached_property
    def form(self) -> str:
        """The format of the rows."""
        if self._form is not None:
            return self._form
        if self.is_pipe:
            return _form_of(self.pipe_stream.head(8))
        with self.open() as stream:
            return _form_of(stream.head(8))

    @property
    def place(self) -> str:
        """An identity that all names of a file share."""
        if self.is_pipe or "://" in self.path:
            return STDIN if self.is_pipe else self.path
        return os.path.abspath(self.path)

    @property
    def size(self) -> int | None:
        """Bytes stored; None where that cannot be known beforehand."""
        if self.is_pipe:
            return None
        local = local_path(self.path)
        if local is not None:
            return os.stat(local).st_size
        filesystem, path = filesystem_of(self.path)
        return filesystem.get_file_info(path).size  # type: ignore[no-any-return]

    @property
    def size_read(self) -> int | None:
        """Bytes stored when the file was opened: what comes later is not read."""
        return self.size if self._opened is None else self._opened.st_size

    def open(self) -> Stream:
        """The content, decompressed by its first bytes; a pipe opens once."""
        if self.is_pipe:
            return self.pipe_stream
        raw, file = self._opened_raw()
        limit = None if self._opened is None or file is not raw else self._opened.st_size
        return Stream(file, raw, seekable=file is raw, limit=limit)

    def open_raw(self) -> Any:
        """The file as it is stored; a pipe is kept on disk."""
        if self.is_pipe:
            file = open(os.dup(self._spooled), "rb")  # noqa: SIM115 - closed by who asked
            file.seek(0)
            return file
        local = local_path(self.path)
        if local is None:
            filesystem, path = filesystem_of(self.path)
            return filesystem.open_input_file(path)
        require_readable(local, self.name)
        file = open(local, "rb")  # noqa: SIM115 - closed by who asked
        if self._opened is None:
            self._opened = os.fstat(file.fileno())
        return file

    def open_searchable(self) -> Any:
        """The content in a file that can be searched, as Parquet wants it."""
        raw, file = self._opened_raw()
        if file is raw:
            return raw
        with Stream(file, raw) as stream:
            return _spool(stream)

    def _opened_raw(self) -> tuple[Any, Any]:
        """The file as it is stored, and decompressed."""
        raw = self.open_raw()
        try:
            first = raw.read(8)
            raw.seek(0)
            return raw, decompressed(raw, first, self.name)
        except BaseException:
            raw.close()
            raise

    def has_grown(self) -> bool:
        """Whether the file has more bytes now than when it was opened.

        Raises
        ------
        ValueError
            If it was changed in place since.
        """
        local = local_path(self.path)
        if self.is_pipe or local is None or self._opened is None:
            return False
        before = self._opened
        try:
            now = os.stat(local)
        except OSError:
            return False  # removed or renamed: what was opened was read
        if now.st_ino != before.st_ino or now.st_dev != before.st_dev:
            return False
        if now.st_size < before.st_size or (
            now.st_size == before.st_size and now.st_mtime_ns != before.st_mtime_ns
        ):
            raise ValueError(
                f"{self.name}: was changed while it was read; read it again when it is complete"
            )
        return now.st_size > before.st_size

    def head(self, size: int) -> bytes:
        """The first bytes as they are stored."""
        if self.is_pipe:
            return self.pipe.first_bytes(size)
        with self.open_raw() as file:
            return bytes(file.read(size))

    @cached_property
    def pipe(self) -> Pipe:
        """The pipe itself.

        Raises
        ------
        ValueError
            If standard input is closed.
        """
        if self.path != STDIN:
            local = str(local_path(self.path))
            require_readable(local, self.name)
            number = os.open(local, os.O_RDONLY)
            weakref.finalize(self, os.close, number)
            return Pipe(number, self.name)
        if sys.stdin is None or sys.stdin.closed:
            raise ValueError("standard input is closed: give a file, or send rows into a pipe")
        return Pipe(sys.stdin.buffer, self.name)

    @cached_property
    def pipe_stream(self) -> Stream:
        """The pipe's content, decompressed."""
        first = self.pipe.first_bytes(1)
        if first and first in b"\x1f\x28\x04\xfd7":  # no text begins like that; wait for the rest
            first = self.pipe.first_bytes(6)
        elif first == b"B":
            first = self.pipe.first_bytes(3)
        elif first == b"P":
            first = self.pipe.first_bytes(4)
        return Stream(decompressed(self.pipe, first, self.name), self.pipe)

    @cached_property
    def _spooled(self) -> int:
        """The number of a file with all that the pipe has given."""
        with _spool(self.pipe_stream) as file:
            number = os.dup(file.fileno())
        weakref.finalize(self, os.close, number)
        return number


def _form_of(head: bytes) -> str:
    for magic, form in _BINARY.items():
        if head.startswith(magic):
            return form
    return "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else "csv"


def _spool(stream: Stream) -> Any:
    """All of a stream in a temporary file that can be searched."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who asked
    try:
        while data := stream.read(1 << 20):
            file.write(data)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def local_path(path: str) -> str | None:
    """The local path of a name; None for a URI of another system, and for standard input.

    Examples
    --------
    >>> local_path("file:///plant/press%204"), local_path("s3://plant"), local_path("a.csv")
    ('/plant/press 4', None, 'a.csv')
    """
    if path == STDIN:
        return None
    if path.startswith("file://"):
        return unquote(urlsplit(path).path)
    return None if "://" in path else path


def filesystem_of(uri: str) -> tuple[Any, str]:
    """The file system of a URI, pyarrow's or fsspec's, and the path in it.

    Raises
    ------
    ValueError
        If neither knows it.
    """
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, ValueError) as error:
        try:
            import fsspec

            known, path = fsspec.core.url_to_fs(uri)
        except (ImportError, ValueError):
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{uri}: cannot be opened ({text})") from error
        return fs.PyFileSystem(fs.FSSpecHandler(known)), path
    return filesystem, path


def require_readable(path: str, name: str | None = None) -> None:
    """Raise unless a path is a regular file or a pipe: a device may never end.

    Raises
    ------
    OSError
        If there is nothing.
    ValueError
        Saying what it is.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return
    if stat.S_ISDIR(mode):
        raise ValueError(
            f"{name or path}: is a folder; name its files, as in '{Path(path)}/*.parquet'"
        )
    raise ValueError(f"{name or path}: is a device; only files and pipes are read")
