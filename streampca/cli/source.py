"""Where rows come from: local files, patterns, URIs, standard input; as bytes in order.

This room knows names and bytes; what the bytes hold is for formats.py.
"""

from __future__ import annotations

import glob
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyarrow import fs

from streampca import _filetypes
from streampca._rawfile import RawFile

__all__ = ["STDIN", "Source", "Stream", "find_sources", "form_of"]

STDIN = "-"

_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_LONGEST_LINE = 2**28
"""A line of this length is no row: the file is not what its name says."""


class Stream:
    """Bytes in order, of which the first can be looked at before they are read."""

    def __init__(self, file: Any, raw: Any, *, seekable: bool = False, live: bool = False) -> None:
        self._file = file
        self._raw = raw  # the same, or what `file` decompresses
        self._seekable = seekable
        self._live = live  # a pipe: rows that are there are not kept waiting for a full block
        self._ahead = b""
        self._count = 0

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._live:
            self._file.close()
            self._raw.close()

    def head(self, size: int) -> bytes:
        """The next bytes, which stay: fewer only where the stream ends."""
        while len(self._ahead) < size and (more := self._more(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def line(self) -> bytes:
        """The next line, which stays."""
        size = 4096
        while b"\n" not in (found := self.head(size)) and len(found) == size:
            size *= 4
            if size > _LONGEST_LINE:
                break
        line, newline, _ = found.partition(b"\n")
        return line + newline

    def read(self, size: int) -> bytes:
        """The next bytes; b"" at the end."""
        if self._ahead:
            found, self._ahead = self._ahead[:size], self._ahead[size:]
            return found
        return self._more(size)

    def skip(self, offset: int) -> None:
        """Go to a place; nothing has been read before.

        Raises
        ------
        ValueError
            If the stream ends before it.
        """
        if self._seekable:
            self._ahead = b""
            self._file.seek(offset)
            return
        left = offset
        while left > 0:
            found = self.read(min(left, 1 << 20))
            if not found:
                raise ValueError(f"it ends {left:,} bytes before the place that was read up to")
            left -= len(found)

    def tell(self) -> int:
        """Bytes read of what is stored, compressed as it may be."""
        return self._count if self._live else int(self._raw.tell())

    def _more(self, size: int) -> bytes:
        found = bytes(self._file.read1(size) if self._live else self._file.read(size))
        self._count += len(found)
        return found


class Source:
    """One file, URI or standard input, and the format of its rows.

    Parameters
    ----------
    path : str
        "-" is standard input.
    form : {"parquet", "csv", "jsonl"}, optional
        By default what the name, or the first byte of standard input, says.
    """

    def __init__(self, path: str, form: str | None = None) -> None:
        self.path = path
        self.name = "standard input" if path == STDIN else path
        self.is_pipe = path == STDIN or ("://" not in path and not os.path.isfile(path))
        self._form = form or (None if self.is_pipe else form_of(path))

    @cached_property
    def form(self) -> str:
        """The format of the rows."""
        if self._form is not None:
            return self._form
        head = self._pipe.head(4)
        if head == b"PAR1":
            return "parquet"
        return "jsonl" if head.lstrip()[:1] == b"{" else "csv"

    @property
    def place(self) -> str:
        """The same for every name of the same file."""
        if self.is_pipe or "://" in self.path:
            return STDIN if self.is_pipe else self.path
        return os.path.abspath(self.path)

    @property
    def size(self) -> int | None:
        """Bytes stored; None where that cannot be known beforehand."""
        if self.is_pipe:
            return None
        if "://" in self.path:
            filesystem, path = fs.FileSystem.from_uri(self.path)
            return filesystem.get_file_info(path).size  # type: ignore[no-any-return]
        return os.stat(self.path).st_size

    def open(self) -> Stream:
        """The content, decompressed by the suffix of the name; a pipe opens once."""
        if self.is_pipe:
            return self._pipe
        codec = next((c for s, c in _CODECS.items() if self.path.lower().endswith(s)), None)
        raw = self.open_file()
        if codec is None:
            return Stream(raw, raw, seekable=True)
        return Stream(io.BufferedReader(RawFile(pa.CompressedInputStream(raw, codec))), raw)

    def open_file(self) -> Any:
        """A file that can be searched, as Parquet wants it; a pipe is kept on disk."""
        if self.is_pipe:
            return self._spooled
        if "://" in self.path:
            filesystem, path = fs.FileSystem.from_uri(self.path)
            return filesystem.open_input_file(path)
        return open(self.path, "rb")

    @cached_property
    def _pipe(self) -> Stream:
        file = sys.stdin.buffer if self.path == STDIN else open(self.path, "rb")  # noqa: SIM115
        return Stream(file, file, live=True)

    def head(self, size: int) -> bytes:
        """The first bytes as they are stored; a pipe has not been read yet, or is Parquet."""
        if self.is_pipe and self.form != "parquet":
            return self._pipe.head(size)
        file = self.open_file()
        file.seek(0)
        head = bytes(file.read(size))
        if not self.is_pipe:
            file.close()
        return head

    @cached_property
    def _spooled(self) -> Any:
        number, path = tempfile.mkstemp()
        try:
            with open(number, "wb") as file:
                while data := self._pipe.read(1 << 20):
                    file.write(data)
            return pa.OSFile(path)
        finally:
            os.unlink(path)  # what is open stays until it is closed


def form_of(path: str) -> str:
    """The format that a name says, with or without the suffix of a compression.

    Raises
    ------
    ValueError
        If it says none.

    Examples
    --------
    >>> form_of("logs/day.csv.gz")
    'csv'
    """
    otherwise = ", or say --input-format csv, jsonl or parquet"
    return _filetypes.form_of(path, _CODECS, otherwise)


def find_sources(patterns: Sequence[str], form: str | None = None) -> list[Source]:
    """The sources that names and patterns stand for, each once; matches of a pattern sorted.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or a name is a folder or of no type that can be read.
    """
    paths: dict[str, None] = {}
    for pattern in patterns:
        if pattern == STDIN or "://" in pattern or os.path.isfile(pattern):
            paths[pattern] = None
            continue
        if os.path.isdir(pattern):
            raise ValueError(f"{pattern}: is a folder; name its files, as in '{pattern}/*.parquet'")
        found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
        if not found and os.path.exists(pattern):  # a pipe with a name, as <(...) makes one
            found = [pattern]
        if not found:
            raise ValueError(f"{pattern}: there is no such file")
        paths |= dict.fromkeys(found)
    return [Source(path, form) for path in paths]
