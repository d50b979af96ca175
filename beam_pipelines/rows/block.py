"""A block: checked rows of one key and window, and how they cross workers.

A header of 23 bytes, names as JSON, and the numbers: Arrow bytes (streampca.wire) would cost a
block of one row more than everything else that is done with it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from beam_pipelines.rows.places import Place
from streampca.wire import WireError

MAGIC = b"rows"

BLOCKS = Iterable[bytes]
"""The type of blocks between steps, for which Beam has a coder of its own in every language: one
piece of sealed bytes. So no class of ours is pickled into a pipeline, and an update that moves or
changes ours finds what is in flight."""

_HEAD = struct.Struct("<4sHI")  # what it is, its version, checksum of the rest
_SHAPE = struct.Struct("<II?I")  # rows, features, float32 or not, bytes of the names
_ORIGIN = struct.Struct("<?IIII?q")  # after the shape, in version 2: place and time, if known
_VERSION = 2


class Block:
    """One row or many, checked.

    To a runner it is an iterable of one piece of bytes, which it becomes when it crosses workers;
    where steps run in one process it stays as it is. `opened` takes both.
    """

    __slots__ = ("micros", "names", "place", "values")

    def __init__(
        self,
        names: tuple[str, ...] | None,
        values: NDArray[Any],
        place: Place | None = None,
        micros: int | None = None,
    ) -> None:
        self.names = names
        self.values = values  # (m, n) float32 or float64, finite
        self.place = place  # in the source; None if nobody has said
        self.micros = micros  # event time, where rows are learned in order

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        yield self.to_bytes()

    @classmethod
    def opened(cls, element: Any) -> Self | None:
        """Return a block as it is, or as it has crossed workers; None if it is none."""
        if type(element) is cls:
            return element
        if type(element) is list and len(element) == 1 and type(element[0]) is bytes:
            return cls.from_bytes(element[0])
        return None

    def to_bytes(self) -> bytes:
        """Return all of it."""
        names = b"" if self.names is None else json.dumps(self.names).encode()
        single = self.values.dtype == np.float32
        values = self.values.astype("<f4" if single else "<f8", copy=False)
        shape = _SHAPE.pack(*values.shape, single, len(names))
        origin = self._origin()
        rest = b"".join([shape, origin, names, values.tobytes()])
        # A block of unknown origin is written as it always was.
        return _HEAD.pack(MAGIC, 2 if origin else 1, zlib.crc32(rest)) + rest

    def _origin(self) -> bytes:
        place, micros = self.place, self.micros
        if place is None and micros is None:
            return b""
        known = place is not None, *(place or (0, 0, 0, 0)), micros is not None, micros or 0
        return _ORIGIN.pack(*known)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` wrote.

        Raises
        ------
        WireError
            If the bytes are torn, foreign, or from a newer version.
        """
        try:
            return cls._read(data)
        except (struct.error, ValueError, RecursionError) as error:
            if isinstance(error, WireError):
                raise
            raise WireError(f"Torn data: a block of rows cannot be read ({error}).") from error

    @classmethod
    def _read(cls, data: bytes) -> Self:
        magic, version, checksum = _HEAD.unpack_from(data)
        if magic != MAGIC or version > _VERSION:
            raise WireError(f"Foreign or newer data: {len(data)} bytes are no block of rows.")
        if zlib.crc32(memoryview(data)[_HEAD.size :]) != checksum:
            raise WireError(
                f"Torn data: the checksum of a block of rows in {len(data)} bytes does not match."
            )
        rows, width, single, size = _SHAPE.unpack_from(data, _HEAD.size)
        start = _HEAD.size + _SHAPE.size
        place = micros = None
        if version == 2:
            has_place, *numbers, has_micros, time = _ORIGIN.unpack_from(data, start)
            place, micros = Place(*numbers) if has_place else None, time if has_micros else None
            start += _ORIGIN.size
        names = json.loads(data[start : start + size]) if size else None
        if names is not None and not (are_names(names) and len(names) == width):
            raise WireError(f"Corrupt data: a block of {width} features without their names.")
        dtype = np.dtype("<f4" if single else "<f8")
        flat = np.frombuffer(data, dtype, offset=start + size)
        values = flat.astype(dtype.newbyteorder("=")).reshape(rows, width)
        return cls(None if names is None else tuple(names), values, place, micros)


def n_rows_of(data: bytes) -> int:
    """How many rows a block in bytes has, which are not checked here."""
    try:
        rows, _, _, _ = _SHAPE.unpack_from(data, _HEAD.size)
    except struct.error as error:
        raise WireError(f"Torn data: a block of rows cannot be read ({error}).") from error
    return int(rows)


def are_names(found: object) -> bool:
    """Whether these are names of features, as JSON has them."""
    return isinstance(found, list) and all(isinstance(name, str) for name in found)
