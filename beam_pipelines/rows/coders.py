"""How blocks of rows, moments and checkpoints cross workers: own versioned bytes, never pickles."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
from apache_beam.coders.coders import Coder
from apache_beam.coders.typecoders import registry

from beam_pipelines.rows.elements import Block
from streampca.checkpoint import Checkpoint, Part
from streampca.moments import Moments
from streampca.wire import WireError

Names = tuple[str, ...] | None

_BLOCK = struct.Struct("<4sHI")  # what it is, its version, checksum of the rest
_SHAPE = struct.Struct("<II?I")  # rows, features, float32 or not, bytes of the names
_BLOCK_VERSION = 1


def moments_to_bytes(moments: Moments, names: Names) -> bytes:
    """Return moments and the names of their features as bytes: those of a part."""
    return Part(moments, names).to_bytes()


def moments_from_bytes(data: bytes, device: object = None) -> tuple[Moments, Names]:
    """Return what `moments_to_bytes` wrote.

    Raises
    ------
    WireError
        If the bytes are torn, foreign, or from a newer version.
    """
    part = Part.from_bytes(data, device)
    if part.moments is None or part.of_targets:
        raise WireError("Expected moments of rows: the data is of no rows, or of a regression.")
    return part.moments, part.names


def _are_names(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(name, str) for name in found)


class BlockCoder(Coder):
    """Blocks of rows, where a runner shuffles them before it combines.

    A header of 23 bytes, names as JSON, and the numbers: Arrow bytes (streampca.wire) would cost a
    block of one row more than everything else that is done with it.
    """

    MAGIC = b"rows"

    def encode(self, value: Block) -> bytes:
        names = b"" if value.names is None else json.dumps(value.names).encode()
        single = value.values.dtype == np.float32
        values = value.values.astype("<f4" if single else "<f8", copy=False)
        rest = b"".join([_SHAPE.pack(*values.shape, single, len(names)), names, values.tobytes()])
        return _BLOCK.pack(self.MAGIC, _BLOCK_VERSION, zlib.crc32(rest)) + rest

    def decode(self, encoded: bytes) -> Block:
        try:
            magic, version, checksum = _BLOCK.unpack_from(encoded)
            if magic != self.MAGIC or version > _BLOCK_VERSION:
                raise WireError(
                    f"Foreign or newer data: {len(encoded)} bytes are no block of rows."
                )
            if zlib.crc32(memoryview(encoded)[_BLOCK.size :]) != checksum:
                raise WireError(
                    f"Torn data: the checksum of a block of rows in {len(encoded)} bytes does not "
                    "match."
                )
            rows, width, single, size = _SHAPE.unpack_from(encoded, _BLOCK.size)
            start = _BLOCK.size + _SHAPE.size
            names = json.loads(encoded[start : start + size]) if size else None
            if names is not None and not (_are_names(names) and len(names) == width):
                raise WireError(f"Corrupt data: a block of {width} features without their names.")
            dtype = np.dtype("<f4" if single else "<f8")
            flat = np.frombuffer(encoded, dtype, offset=start + size)
            return Block(
                None if names is None else tuple(names),
                flat.astype(dtype.newbyteorder("=")).reshape(rows, width),
            )
        except (struct.error, ValueError, RecursionError) as error:
            if isinstance(error, WireError):
                raise
            raise WireError(f"Torn data: a block of rows cannot be read ({error}).") from error

    def estimate_size(self, value: Block) -> int:
        """Bytes, roughly, for Beam's counters: by default it encodes what it wants to count."""
        return value.values.nbytes

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type[Block]:
        return Block


class CheckpointCoder(Coder):
    """Checkpoints between stages, as their own Arrow bytes."""

    def encode(self, value: Checkpoint) -> bytes:
        return value.to_bytes()

    def decode(self, encoded: bytes) -> Checkpoint:
        return Checkpoint.from_bytes(encoded)

    def estimate_size(self, value: Checkpoint) -> int:
        """Bytes, roughly, for Beam's counters."""
        arrays = [value.components, value.decoder, value.encoder, *value.moments.values()]
        return sum(array.nbytes for array in arrays)

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type[Checkpoint]:
        return Checkpoint


registry.register_coder(Block, BlockCoder)
registry.register_coder(Checkpoint, CheckpointCoder)
