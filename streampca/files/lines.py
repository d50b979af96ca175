"""Text in blocks of complete lines, each with its place: what can be read from there on again."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from streampca.files.streams import Stream

_SIZE = 1 << 20
"""Bytes in a block: enough to make Python's work per block small, few enough for any memory."""

_LONGEST = 1 << 28
_END = re.compile(rb"\r(?!\n)|\n")


class Block:
    """Complete lines, or the last one without its end.

    Parameters
    ----------
    data : bytes
    offset, line : int
        Bytes and lines before it.
    eol : bytes
        The last sign of a line's end.
    delimiter : str, optional
        Of CSV, where an end of line between quotes ends no record.
    """

    def __init__(
        self, data: bytes, offset: int, line: int, eol: bytes = b"\n", delimiter: str | None = None
    ) -> None:
        self.data = data
        self.offset = offset
        self.line = line
        self.eol = eol
        self._delimiter = delimiter

    @property
    def ends(self) -> bool:
        """Whether its last line has its end."""
        return self.data.endswith(self.eol)

    @property
    def n_lines(self) -> int:
        """Lines, the last one with its end or without; those that are blank included."""
        return self.data.count(self.eol) + (not self.ends)

    @cached_property
    def _starts(self) -> np.ndarray:
        """Where records begin that are not empty."""
        return np.array([start for start, _ in records(self.data, self.eol, self._delimiter)], int)

    def line_of(self, record: int) -> int:
        """The line on which a record begins, from 1."""
        start = int(self._starts[record]) if record < len(self._starts) else len(self.data)
        return self.line + count_lines(self.data[:start], self.eol) + 1


def records(data: bytes, eol: bytes, delimiter: str | None) -> Iterator[tuple[int, int]]:
    r"""Begin and end of each record that is not empty, without its end of line.

    Of CSV a carriage return alone ends a record, too, as for the parser.

    Examples
    --------
    >>> list(records(b'a,"b\nc"\n\nd\n', b"\n", ","))
    [(0, 7), (9, 10)]
    """
    spans = _quoted(data, delimiter)
    inside = [start for start, _ in spans]
    mixed = delimiter is not None and _returns(data, eol) > 0
    start = at = 0
    while start < len(data):
        if mixed:
            found = _END.search(data, at)
            end = found.start() if found else len(data)
        else:
            end = data.find(eol, at)
            end = end if end >= 0 else len(data)
        span = bisect_right(inside, end) - 1
        if end < len(data) and span >= 0 and end < spans[span][1]:
            at = spans[span][1]
            continue
        if data[start:end].strip(b"\r"):
            yield start, end
        start = at = end + 1


def end_of_line(sample: bytes) -> bytes:
    r"""The last sign of a line's end: carriage returns alone are one.

    Examples
    --------
    >>> end_of_line(b"a\r\n1\r\n"), end_of_line(b"a\r1\r")
    (b'\n', b'\r')
    """
    return b"\r" if b"\r" in sample and b"\n" not in sample else b"\n"


def count_lines(data: bytes, eol: bytes) -> int:
    r"""Ends of lines, as an editor counts them: carriage returns alone as well.

    Examples
    --------
    >>> count_lines(b"a\r1\r\n2\n", b"\n")
    3
    """
    return data.count(eol) + _returns(data, eol)


def _returns(data: bytes, eol: bytes) -> int:
    """Carriage returns alone, where they are not what all lines end with."""
    if eol != b"\n" or b"\r" not in data:
        return 0
    return data.count(b"\r") - data.count(b"\r\n")


def blocks(
    stream: Stream,
    offset: int,
    line: int,
    *,
    eol: bytes = b"\n",
    delimiter: str | None = None,
    growing: Callable[[], bool] = lambda: False,
) -> Iterator[Block]:
    r"""Blocks of the stream, which stands at `offset`, in the bytes' order.

    Where a block begins decides where it ends (but in a pipe), so that who begins there again
    gets the same blocks. `growing`: asked at the end; whether the file has grown since, so that
    its last line is half.

    Raises
    ------
    ValueError
        If a line is too long to be one.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO(b'a,"b\nc"\nd')
    >>> [block.data for block in blocks(Stream(file), 0, 0, delimiter=",")]
    [b'a,"b\nc"\n', b'd']
    """
    data, end, wanted = b"", False, _SIZE
    while not end:
        more = stream.read(1 << 20) if stream.is_live else stream.exactly(wanted - len(data))
        end = not more
        data += more
        quote = _open_quote(data, delimiter) if end else None
        half = quote is not None or not data.endswith(eol)
        stays = end and bool(data) and half and growing()
        cut = len(data) if end and not stays and quote is None else _last_end(data, eol, delimiter)
        if stays and cut == 0:
            return
        if cut == 0 and quote is None:
            if len(data) > _LONGEST:
                raise ValueError(
                    f"a line of more than {_LONGEST >> 20} MiB after line {line}: not a text file, "
                    "or a quote that is never closed"
                )
            wanted = max(2 * len(data), _SIZE)  # twice as much: what is there is read again
            continue
        if cut or quote is None:
            yield Block(data[:cut], offset, line, eol, delimiter)
        if quote is not None and not stays:
            first = line + count_lines(data[:quote], eol) + 1
            raise ValueError(f"the quote that opens a cell on line {first} is never closed")
        line += count_lines(data[:cut], eol)
        data, offset, wanted = data[cut:], offset + cut, _SIZE


def _last_end(data: bytes, eol: bytes, delimiter: str | None) -> int:
    """Where the last complete record ends; 0 for none."""
    end = data.rfind(eol)
    if delimiter is None or b'"' not in data:
        return end + 1
    spans = _quoted(data, delimiter)
    for start, stop in reversed(spans):
        if end >= stop:
            break
        if end >= start:
            end = data.rfind(eol, 0, start)
    return end + 1


def _quoted(data: bytes, delimiter: str | None) -> list[tuple[int, int]]:
    """Where cells stand between quotes, the last one perhaps without its end.

    A quote within a cell that has none at its beginning is a sign like any other.
    """
    return [found.span() for found in _cells_in_quotes(data, delimiter)]


def _open_quote(data: bytes, delimiter: str | None) -> int | None:
    """Where the last cell begins if it has a quote there and none at its end."""
    found = (each.start() for each in _cells_in_quotes(data, delimiter) if not each[1])
    return next(found, None)


def _cells_in_quotes(data: bytes, delimiter: str | None) -> Iterator[re.Match[bytes]]:
    if delimiter is None or b'"' not in data:
        return iter(())
    sign = re.escape(delimiter.encode())
    pattern = re.compile(rb"(?:^|(?<=[\r\n])|(?<=" + sign + rb'))"(?:[^"]|"")*("|\Z)')
    return pattern.finditer(data)
