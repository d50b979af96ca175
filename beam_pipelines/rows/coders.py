"""How blocks of rows, moments and checkpoints cross workers: own versioned bytes, never pickles."""

from __future__ import annotations

from apache_beam.coders.coders import Coder
from apache_beam.coders.typecoders import registry

from beam_pipelines.rows.block import MAGIC, Block, are_names, n_rows_of
from streampca.checkpoint import Checkpoint
from streampca.moments import Moments, moments_from_state
from streampca.wire import Wire, WireError, decode, encode

Names = tuple[str, ...] | None


def moments_to_bytes(moments: Moments, names: Names) -> bytes:
    """Return moments and the names of their features as bytes."""
    meta = {"names": None if names is None else list(names)}
    return encode(f"moments/{moments.kind}", moments.state(), meta, packed=True)


def is_moments(data: bytes) -> bool:
    """Whether these bytes say that they are moments; that they can be read is not checked.

    The words stand in the header alone: quotes inside of JSON texts have a backslash before them.
    """
    return data.find(b'"kind": "moments/', 0, 2**11) >= 0


def n_samples_of(data: bytes) -> int:
    """How many rows moments in some bytes have seen, or a block has, without reading the rest."""
    if data.startswith(MAGIC):
        return n_rows_of(data)
    found = decode(data, only=("n_samples",)).arrays
    if "n_samples" not in found or found["n_samples"].size != 1:
        raise WireError("Corrupt data: these are no moments, which say how many rows they are of.")
    return int(found["n_samples"].item())


def moments_from_bytes(data: bytes, device: object = None) -> tuple[Moments, Names]:
    """Return what `moments_to_bytes` wrote.

    Raises
    ------
    WireError
        If the bytes are torn, foreign, or from a newer version.
    """
    return moments_from_wire(decode(data), device)


def moments_from_wire(wire: Wire, device: object = None) -> tuple[Moments, Names]:
    """Return the moments in what has been decoded; it raises as `moments_from_bytes` does."""
    family, _, kind = wire.kind.partition("/")
    if family != "moments":
        raise WireError(f"Expected moments, but the data holds {wire.kind!r}.")
    names = names_of(wire)
    try:
        moments = moments_from_state(kind, wire.arrays, device=device)
    except MemoryError as error:
        raise WireError(f"The moments claim more than memory can hold ({error}).") from error
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise WireError(f"Corrupt data: these are no {kind!r} moments ({error}).") from error
    if names is not None and len(names) != moments.n_features:
        raise WireError(
            f"Corrupt data: {len(names)} names for moments of {moments.n_features} features."
        )
    return moments, names


def names_of(wire: Wire) -> Names:
    """Return the names of the features that stand in a header."""
    names = wire.meta.get("names")
    if names is not None and not are_names(names):
        raise WireError(f"Corrupt data: {str(names)[:80]!r} are no names of features.")
    return None if names is None else tuple(names)


class BlockCoder(Coder):
    """Blocks of rows as their own bytes, where they cross workers as what they are."""

    MAGIC = MAGIC

    def encode(self, value: Block) -> bytes:
        return value.to_bytes()

    def decode(self, encoded: bytes) -> Block:
        return Block.from_bytes(encoded)

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
