"""A file that has `read` and little else, as Python's and Arrow's buffered readers want it."""

from __future__ import annotations

import io
from typing import Any


class RawFile(io.RawIOBase):
    """Something with `read`: Arrow's decompressing stream, or a file that Beam decompresses.

    Of Beam's, `closed` is a method and no answer, which Arrow does not take.

    Examples
    --------
    >>> io.BufferedReader(RawFile(io.BytesIO(b"time,oil"))).read(4)
    b'time'
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the file goes."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
