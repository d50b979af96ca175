"""Text in blocks of whole lines, each with its place: what can be read from there on again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from streampca.cli.source import Stream

__all__ = ["Block", "blocks"]

_SIZE = 1 << 20
"""Bytes in a block: enough to make Python's work per block small, few enough for any memory."""

_LONGEST = 1 << 28


class Block(NamedTuple):
    """Whole lines, or the last one without its end."""

    data: bytes
    offset: int  # of its first byte
    line: int  # lines before it

    @property
    def n_lines(self) -> int:
        """Lines, the last one with its end or without; those that are blank included."""
        return self.data.count(b"\n") + (not self.data.endswith(b"\n"))


def blocks(stream: Stream, offset: int, line: int, *, quoted: bool) -> Iterator[Block]:
    r"""Blocks of the stream, which stands at `offset`, in the bytes' order.

    Where a block begins decides where it ends (but in a pipe), so that who begins there again
    gets the same blocks. `quoted`: an end of line between double quotes ends no line.

    Raises
    ------
    ValueError
        If a line is too long to be one.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO(b'a,"b\nc"\nd')
    >>> [block.data for block in blocks(Stream(file, file), 0, 0, quoted=True)]
    [b'a,"b\nc"\n', b'd']
    """
    data, end = b"", False
    while not end:
        more = stream.read(_SIZE if len(data) >= _SIZE else _SIZE - len(data))
        end = not more
        data += more
        cut = len(data) if end else _last_end(data, quoted)
        if cut == 0:
            if len(data) > _LONGEST:
                raise ValueError(
                    f"a line of more than {_LONGEST >> 20} MiB after line {line}: not a text file, "
                    "or a quote that is never closed"
                )
            continue
        block = Block(data[:cut], offset, line)
        yield block
        data, offset, line = data[cut:], offset + cut, line + block.data.count(b"\n")


def _last_end(data: bytes, quoted: bool) -> int:
    """Where the last whole line ends; 0 for none."""
    if not quoted or b'"' not in data:
        return data.rfind(b"\n") + 1
    signs = np.frombuffer(data, "uint8")
    outside = np.cumsum(signs == ord('"')) % 2 == 0
    ends = np.flatnonzero((signs == ord("\n")) & outside)
    return int(ends[-1]) + 1 if len(ends) else 0
