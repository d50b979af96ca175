"""What fuzzing is aimed at: each target reads any bytes, or refuses them with a WireError.

What is read must be whole: written again and read again it is the same. Changed bytes hardly ever
get past a checksum, so targets named "sealed" put the right one on first, as an attacker would.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import struct
import tempfile
import zlib
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from checkpoints import MINUTE, make
from extras import torch

from beam_pipelines.learning.combine import MomentsFn
from beam_pipelines.rows.coders import (
    BlockCoder,
    CheckpointCoder,
    moments_from_bytes,
    moments_to_bytes,
)
from beam_pipelines.rows.elements import Block
from streampca import Checkpoint, StreamingPCA, StreamingReducedRankRegression, merge_all
from streampca.checkpoint import Drift, Part
from streampca.checkpoint.footer import check_footer, footer_start
from streampca.checkpoint.paths import folder_key, key_folder, parse_file_name
from streampca.files import read
from streampca.moments import moments_from_state
from streampca.wire.arrays import decode, encode
from streampca.wire.sealed import WireError

__all__ = ["TARGETS", "seeds"]

_PARQUET_SEAL = struct.Struct("<8sI")


# --- the right checksum ---------------------------------------------------------------------------


def sealed_stream(data: bytes) -> bytes:
    """Arrow bytes with a right trailer: the last 20 bytes give way to it."""
    stream = data[:-20] if data[-20:-12] == b"streamP1" else data
    return stream + struct.pack("<8sIQ", b"streamP1", zlib.crc32(stream), len(stream))


def sealed_file(data: bytes) -> bytes:
    """A Parquet file with the right seal before its footer, if it has one."""
    try:
        end = footer_start(memoryview(data))
    except WireError:
        return data
    at = end - _PARQUET_SEAL.size
    if at < 0 or data[at : at + 8] != b"streamP1":
        return data
    checksum = zlib.crc32(data[end:], zlib.crc32(data[:at]))
    return data[:at] + _PARQUET_SEAL.pack(b"streamP1", checksum) + data[end:]


def sealed_block(data: bytes) -> bytes:
    """A block of rows with the right checksum in its header."""
    return data[:6] + struct.pack("<I", zlib.crc32(data[10:])) + data[10:]


# --- targets --------------------------------------------------------------------------------------


def checkpoint_file(data: bytes) -> None:
    found = Checkpoint.from_parquet_bytes(data)
    assert Checkpoint.from_parquet_bytes(found.to_parquet_bytes()) == found
    assert found.without_moments() == Checkpoint.from_parquet_bytes(data, moments=False)


def checkpoint_bytes(data: bytes) -> None:
    found = CheckpointCoder().decode(data)
    assert CheckpointCoder().decode(CheckpointCoder().encode(found)) == found


def wire(data: bytes) -> None:
    found = decode(data)
    again = decode(encode(*found))
    assert (again.kind, list(again.arrays)) == (found.kind, list(found.arrays))
    assert json.dumps(again.meta) == json.dumps(found.meta)
    for name, array in found.arrays.items():
        assert array.tobytes() == again.arrays[name].tobytes()
        assert array.shape == again.arrays[name].shape


def moments(data: bytes) -> None:
    found, names = moments_from_bytes(data)
    again, names_again = moments_from_bytes(moments_to_bytes(found, names))
    assert names == names_again
    for name, array in found.state().items():
        assert array.tobytes() == again.state()[name].tobytes()


def part(data: bytes) -> None:
    found = Part.from_bytes(data)
    again = found.to_bytes()
    assert Part.from_bytes(again).to_bytes() == again
    if found.moments is not None:
        with contextlib.suppress(ValueError, TypeError):  # parameters may be any
            merge_all([data])


def accumulator(data: bytes) -> None:
    fn = MomentsFn(n_components=1)
    (again,) = fn._opened([data])
    fn._opened([again])


def block(data: bytes) -> None:
    found = BlockCoder().decode(data)
    again = BlockCoder().decode(BlockCoder().encode(found))
    assert again.names == found.names
    assert again.values.tobytes() == found.values.tobytes()
    assert again.values.shape == found.values.shape


def footer(data: bytes) -> None:
    check_footer(data, 1 << 20)


def names(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        known = folder_key(text)
    except ValueError:
        return
    if known is not None and known[1]:
        assert key_folder(known[0]) == text or text != key_folder(known[0])
    parse_file_name(text, text)


def rows(data: bytes) -> None:
    """Any bytes as a file of every kind: rows that can be used, or a ValueError, and no more."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".jsonl", ".parquet", ".arrow", ".npy"):
            path = Path(folder, "x" + suffix)
            path.write_bytes(data)
            with contextlib.suppress(ValueError):
                for batch in read(path, bad_rows="skip", say=lambda _: None):
                    assert np.isfinite(batch.values).all()
                    assert batch.values.shape[1] == len(batch.names)


def _guarded(read: Callable[[bytes], None], seal: Callable[[bytes], bytes] | None = None):
    def target(data: bytes) -> None:
        try:
            read(data if seal is None else seal(data))
        except WireError:
            return

    return target


TARGETS: dict[str, Callable[[bytes], None]] = {
    "file": _guarded(checkpoint_file),
    "sealed file": _guarded(checkpoint_file, sealed_file),
    "footer": _guarded(footer),
    "bytes": _guarded(checkpoint_bytes),
    "sealed bytes": _guarded(checkpoint_bytes, sealed_stream),
    "sealed wire": _guarded(wire, sealed_stream),
    "sealed moments": _guarded(moments, sealed_stream),
    "sealed part": _guarded(part, sealed_stream),
    "accumulator": _guarded(accumulator),
    "block": _guarded(block),
    "sealed block": _guarded(block, sealed_block),
    "names": _guarded(names),
    "rows": rows,
}


# --- seeds: real files ----------------------------------------------------------------------------


def _checkpoints() -> list[Checkpoint]:
    X = np.random.default_rng(0).normal(size=(40, 4)) * [4, 3, 2, 1]
    learned = [
        StreamingPCA(2, **options).fit(X.astype(dtype)).checkpoint(key="press 4", window_end=MINUTE)
        for dtype in ("float32", "float64")
        for options in (
            {},
            {"memory": "factored"},
            *([{"solver": "first_order", "memory": "minibatch"}] if torch else []),
        )
    ]
    made = make(
        n=3,
        key=-7,
        window_start=0,
        window_end=MINUTE,
        late=True,
        feature_names=("a", "é", ""),
        drift=Drift(0.25, np.ones(2)),
    )
    return [*learned, made, made.without_moments()]


def _files() -> list[bytes]:
    X = np.arange(12.0).reshape(4, 3) ** 2
    table = pa.table({name: X[:, i] for i, name in enumerate("abc")})
    parquet, arrow, npy = io.BytesIO(), pa.BufferOutputStream(), io.BytesIO()
    pq.write_table(table, parquet)
    with pa.ipc.new_file(arrow, table.schema) as writer:
        writer.write_table(table)
    np.save(npy, X)
    csv = b'a;b;c\n[s];[K];x\n1,5;2;3\n4;"5";6\n'
    return [
        csv,
        csv.replace(b"\n", b"\r\n").decode().encode("utf-16"),
        b'{"a": 1, "b": 2.5}\n{"b": -1, "a": null}\n',
        parquet.getvalue(),
        arrow.getvalue().to_pybytes(),
        npy.getvalue(),
        gzip.compress(csv),
    ]


def _parts() -> list[bytes]:
    X = np.random.default_rng(0).normal(size=(40, 4))
    X[:, 1] = np.nan
    named = pa.table(dict(zip("abcd", X.T, strict=True)))
    return [
        StreamingPCA(2, missing="impute").fit(named).part(),
        StreamingPCA(2, memory="factored", whiten=True).fit(X[:, 2:]).part(),
        StreamingReducedRankRegression(1).fit(X[:, 2:], named.select(["a"])).part(),
        StreamingReducedRankRegression(1, ridge=2.0).part(),
    ]


def seeds(target: str) -> list[bytes]:
    """Valid inputs of a target, small, as the library writes them."""
    checkpoints = _checkpoints()
    match target.removeprefix("sealed "):
        case "file":
            return [each.to_parquet_bytes() for each in checkpoints]
        case "footer":
            files = [each.to_parquet_bytes() for each in checkpoints]
            return [data[footer_start(memoryview(data)) : -8] for data in files]
        case "bytes":
            return [each.to_bytes() for each in checkpoints]
        case "wire":
            arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(True), "c": np.zeros((0, 2))}
            return [encode("k", arrays, {"x": [1, None, "é"]}), encode("", {}, {})]
        case "moments" | "accumulator":
            given = [each for each in checkpoints if each.moments_kind and each.key == "press 4"]
            return [
                moments_to_bytes(
                    moments_from_state(
                        each.moments_kind,
                        {k: v for k, v in each.moments.items() if not k.startswith("solver.")},
                        device=None,
                    ),
                    names,
                )
                for each, names in zip(given, cycle([None, ("a", "b", "c", "é")]), strict=False)
            ]
        case "part":
            return _parts()
        case "block":
            return [
                BlockCoder().encode(Block(names, np.eye(rows, 2, dtype=dtype)))
                for names, rows, dtype in (
                    (None, 1, "float64"),
                    (("a", "é"), 3, "float32"),
                    (("a", "b"), 0, "float64"),
                )
            ]
        case "rows":
            return _files()
        case "names":
            keys = (None, -3, "press 4", "x" * 200)
            return [key_folder(key).encode() for key in keys]
    raise KeyError(target)
