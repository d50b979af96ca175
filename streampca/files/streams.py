"""Bytes in order: of files, of live pipes, decompressed, brought into UTF-8.

Knows nothing of what the bytes hold.
"""

from __future__ import annotations

import codecs
import os
import select
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

_WAIT = 0.2
"""Seconds between readings of the clock and of signals while a pipe gives nothing."""

_KEPT = 4096
"""First bytes of a pipe that are kept: by them it is known again."""

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
_REFUSED = {
    b"\xfd7zXZ": "an xz archive: unpack it with xz -d",
    b"PK\x03\x04": "a zip archive: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
}


class Pipe:
    """A live pipe: what is there is given at once; while nothing is, `idle` is called."""

    def __init__(self, file: Any, name: str) -> None:
        self._file = file
        self._ahead = b""
        self.name = name
        self.first = b""
        self.idle: Callable[[], None] = lambda: None
        try:
            self._number: int | None = file if isinstance(file, int) else file.fileno()
            select.select([self._number], [], [], 0)
        except (OSError, ValueError, AttributeError):
            self._number = None  # a file in memory, or a system whose pipes cannot be waited for

    closed = False

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """What is there, up to `size`; b"" at the end."""
        size = size if size > 0 else 1 << 20
        if self._ahead:
            found, self._ahead = self._ahead[:size], self._ahead[size:]
            return found
        return self._more(size)

    def first_bytes(self, size: int) -> bytes:
        """The first bytes of all; it waits for them, and what it reads stays."""
        while len(self.first) < min(size, _KEPT) and (more := self._more(size)):
            self._ahead += more
        return self.first[:size]

    def _more(self, size: int) -> bytes:
        if self._number is None:
            data = bytes(getattr(self._file, "read1", self._file.read)(size))
        else:
            while not select.select([self._number], [], [], _WAIT)[0]:
                self.idle()
            data = os.read(self._number, size)
        if len(self.first) < _KEPT:
            self.first += data[: _KEPT - len(self.first)]
        return data

    def close(self) -> None:
        """Leave it open: it is not ours."""


class Stream:
    """Bytes in order, of which the first can be peeked at before they are read.

    Parameters
    ----------
    file : object with read
        Which may give fewer bytes than asked for; none at the end.
    raw : file, optional
        What `file` decompresses: where it stands says how much has been read.
    seekable : bool
        Whether `file` can go to any place.
    limit : int, optional
        Bytes to be read at most: those of a file as it was when it was opened.
    """

    def __init__(
        self, file: Any, raw: Any = None, *, seekable: bool = False, limit: int | None = None
    ) -> None:
        self._file = file
        self._raw = raw if raw is not None else file
        self._seekable = seekable
        self._limit = limit
        self._ahead = b""
        self.count = 0  # bytes read

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._raw.close()

    @property
    def is_live(self) -> bool:
        """Whether to give rows that are there without waiting for a full block."""
        return isinstance(self._raw, Pipe)

    closed = False

    def close(self) -> None:
        """Close what it reads."""
        self.__exit__()

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def head(self, size: int) -> bytes:
        """The next bytes, which stay: fewer only where the stream ends."""
        while len(self._ahead) < size and (more := self._more(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def ahead(self, known: int = 0) -> bytes:
        """More than `known` bytes that come next, which stay; it waits only where there are none.

        No more than those where the stream ends.
        """
        if len(self._ahead) <= known:
            self._ahead += self._more(1 << 16)
        return self._ahead

    def read(self, size: int = -1) -> bytes:
        """The next bytes, perhaps fewer than asked for; b"" at the end."""
        size = size if size > 0 else 1 << 20
        data = self._ahead or self._more(size)  # which may be more: other encodings are shorter
        found, self._ahead = data[:size], data[size:]
        return found

    def exactly(self, size: int) -> bytes:
        """The next bytes: fewer only where the stream ends."""
        parts, left = [], size
        while left > 0 and (found := self.read(left)):
            parts.append(found)
            left -= len(found)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over bytes.

        Raises
        ------
        ValueError
            If the stream ends before.
        """
        if self._seekable:
            at = self._file.tell() - len(self._ahead)
            self._ahead = b""
            self._file.seek(at + size)
            return
        left = size
        while left > 0:
            found = self.read(min(left, 1 << 20))
            if not found:
                raise ValueError(f"it ends {left:,} bytes before the place that was read up to")
            left -= len(found)

    def tell(self) -> int:
        """Bytes read of what is stored, compressed as it may be."""
        return self.count if self.is_live else int(self._raw.tell())

    def _more(self, size: int) -> bytes:
        if self._limit is not None:
            size = min(size, self._limit - self._file.tell())
            if size <= 0:
                return b""
        found = bytes(self._file.read(size))
        self.count += len(found)
        return found


def decompressed(raw: Any, first: bytes, name: str) -> Any:
    """What a file holds, by its first bytes: itself where they say of no compression.

    Raises
    ------
    ValueError
        If it is an archive that cannot be read.
    """
    for magic, what in _REFUSED.items():
        if first.startswith(magic):
            raise ValueError(f"{name}: is {what}")
    for magic, codec in _MAGIC.items():
        if first.startswith(magic):
            file = raw if isinstance(raw, pa.NativeFile) else pa.PythonFile(raw, "r")
            return pa.CompressedInputStream(file, codec)
    if name.lower().endswith(".deflate"):
        return _Deflated(raw)
    return raw


class _Deflated:
    """Bare deflate, which has no first bytes of its own."""

    closed = False

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._state = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, size: int) -> bytes:
        """The next bytes; b"" at the end."""
        while not self._state.eof:
            data = self._state.unconsumed_tail or self._raw.read(size)
            if not data:
                raise ValueError("the compressed file is cut short")
            if found := self._state.decompress(data, size):
                return found
        return b""

    def close(self) -> None:
        """Nothing of its own."""


def transcoded(stream: Stream, encoding: str) -> Stream:
    """The same text in UTF-8."""
    return Stream(_Transcoded(stream, encoding), stream._raw)


class _Transcoded:
    def __init__(self, stream: Stream, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._end = False

    def read(self, size: int) -> bytes:
        """The next bytes; b"" at the end."""
        while not self._end:
            data = self._stream.read(size)
            self._end = not data
            try:
                found = self._decoder.decode(data, final=self._end)
            except UnicodeDecodeError as error:
                at = self._stream.count - len(data) + error.start
                raise ValueError(
                    f"the byte at {at:,} is not {self._encoding}: say --encoding"
                ) from error
            if found:
                return found.encode("utf-8", "surrogatepass")
        return b""

    def close(self) -> None:
        """Close what it reads."""
        self._stream.close()
