"""Many checkpoints as columns at once: what columns.py does for one, without its cost for each.

Decoder and encoder are null where they are the components, which is most of the bytes of a model
that was solved exactly.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca import wire
from streampca.checkpoint.columns import SCHEMA, list_of
from streampca.checkpoint.drift import Drift
from streampca.checkpoint.fields import freeze
from streampca.checkpoint.values import (
    MATRICES,
    SCALARS,
    VECTORS,
    calibration_bytes,
    calibration_of,
    checksum,
    key_of,
    settings_text,
)
from streampca.text import version
from streampca.wire import SCHEMA_VERSION, VERSION_KEY, WireError

__all__ = ["COMPONENTS_TOO", "Decoded", "are_components", "flat", "one", "to_table"]

COMPONENTS_TOO = ("decoder", "encoder")
_OTHERS = ("window_start", "window_end", "feature_names", "moments_kind", "effective_rows")
_ARRAYS = (*VECTORS, *MATRICES, "scale", "drift_cosines")


def to_table(checkpoints: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Fields of checkpoints, by name, as a table; matrices are of one type in all of them."""
    each = checkpoints
    keys = [c["key"] for c in each]
    drifts = [c["drift"] for c in each]
    values: dict[str, Any] = {name: [c[name] for c in each] for name in (*SCALARS, *_OTHERS)}
    values |= {
        "key": [None if key is None else str(key) for key in keys],
        "key_type": ["none" if key is None else type(key).__name__ for key in keys],
        "drift_angle": [None if drift is None else drift.angle for drift in drifts],
        "settings": [settings_text(c["settings"]) for c in each],
        "moments": [_moments(c["moments_kind"], c["moments"]) for c in each],
        "checksum": [checksum(c) for c in each],
        "calibration": [calibration_bytes(c) for c in each],
    }
    arrays = {name: pa.array(value, SCHEMA.field(name).type) for name, value in values.items()}
    cosines = [None if drift is None else drift.cosines for drift in drifts]
    arrays["drift_cosines"] = _vectors(cosines, np.dtype("float64"))
    for name in (*VECTORS, "scale"):
        arrays[name] = _vectors([c[name] for c in each], np.dtype("float64"))
    same = [are_components(c) for c in each]
    for name in MATRICES:
        found = [c[name] for c in each]
        dtype = found[0].dtype
        if name in COMPONENTS_TOO:
            found = [None if null else M for null, M in zip(same, found, strict=True)]
        arrays[name] = _matrices(found, dtype)
    fields = [
        pa.field(f.name, arrays[f.name].type, nullable=f.nullable or f.name in COMPONENTS_TOO)
        for f in SCHEMA
    ]
    metadata = {VERSION_KEY: str(SCHEMA_VERSION), b"streampca.version": version()}
    return pa.Table.from_arrays(
        [arrays[f.name] for f in fields], schema=pa.schema(fields, metadata)
    )


def _moments(kind: str, moments: Mapping[str, NDArray[Any]]) -> bytes:
    return wire.encode(kind, moments, {}) if moments or kind else _no_moments()


@functools.cache
def _no_moments() -> bytes:
    return wire.encode("", {}, {})


def are_components(checkpoint: Mapping[str, Any]) -> bool:
    """Whether decoder and encoder are the components, as those of an exact solution are."""
    C, A, B = (checkpoint[name] for name in ("components", *COMPONENTS_TOO))
    same = A.dtype == B.dtype == C.dtype and B.shape == C.shape
    return bool(same and B.tobytes() == C.tobytes() and A.tobytes() == C.T.tobytes())


def _vectors(vectors: Sequence[NDArray[Any] | None], dtype: np.dtype[Any]) -> pa.Array:
    sizes = [0 if v is None else len(v) for v in vectors]
    there = [v for v in vectors if v is not None]
    flat = np.concatenate(there) if there else np.zeros(0)
    return _lists(pa.array(flat.astype(dtype, copy=False)), sizes, [v is None for v in vectors])


def _matrices(matrices: Sequence[NDArray[Any] | None], dtype: np.dtype[Any]) -> pa.Array:
    there = [M for M in matrices if M is not None]
    flat = np.concatenate([M.reshape(-1) for M in there]) if there else np.zeros(0, dtype)
    widths = [M.shape[1] for M in there for _ in range(len(M))]
    rows = _lists(pa.array(flat), widths, [False] * len(widths))
    sizes = [0 if M is None else len(M) for M in matrices]
    return _lists(rows, sizes, [M is None for M in matrices])


def _lists(values: pa.Array, sizes: Sequence[int], nulls: Sequence[bool]) -> pa.Array:
    ends = pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype("int64"))
    mask = pa.array(nulls, pa.bool_()) if any(nulls) else None
    return pa.LargeListArray.from_arrays(ends, values, type=list_of(values.type), mask=mask)


class Decoded:
    """Checkpoints of a table, by row.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of a file of many, as its schema was checked.
    moments : bool
        Whether what is only for going on is among them.
    """

    def __init__(self, table: pa.Table, moments: bool) -> None:
        self._n_rows, self._moments = table.num_rows, moments
        columns = {name: one(table.column(name)) for name in table.schema.names}
        for name, column in columns.items():
            free = SCHEMA.field(name).nullable or name in COMPONENTS_TOO
            if column.null_count and not free:
                raise WireError(f"column {name!r} is empty in some row")
        self._lists = {
            name: flat(columns[name], name, 2 if name in MATRICES else 1) for name in _ARRAYS
        }
        times = ("window_start", "window_end")
        self._values = {name: columns[name].view(pa.int64()).to_pylist() for name in times}
        names = (*SCALARS, "key", "key_type", "drift_angle", "moments_kind", "checksum")
        self._values |= {name: columns[name].to_pylist() for name in names}
        rows = columns.get("effective_rows")
        self._values["effective_rows"] = [None] * len(table) if rows is None else rows.to_pylist()
        self._blobs, self._calibrations = columns.get("moments"), columns.get("calibration")

    def fields(self, row: int, known: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the checkpoint in a row; `known` are those that are kept elsewhere."""
        if not 0 <= row < self._n_rows:
            raise WireError(f"it has {self._n_rows} rows, and row {row} was asked for")
        value = {name: column[row] for name, column in self._values.items()}
        stored, kind = value.pop("checksum"), value.pop("key_type")
        angle = value.pop("drift_angle")
        arrays = {name: self._array(name, row) for name in _ARRAYS}
        cosines, C = arrays.pop("drift_cosines"), arrays["components"]
        for name in (*VECTORS, "components"):
            if arrays[name] is None:
                raise WireError(f"column {name!r} is empty")
        assert C is not None
        if arrays["decoder"] is None:
            arrays["decoder"] = freeze(np.ascontiguousarray(C.T))
        arrays["encoder"] = C if arrays["encoder"] is None else arrays["encoder"]
        drift = None if angle is None or cosines is None else Drift(angle, cosines)
        found = value | arrays | dict(known)
        found |= {"key": key_of(value["key"], kind), "drift": drift}
        if checksum(found) != stored:
            raise WireError("the checksum does not match: it was changed after it was written")
        found["calibration"] = calibration_of(self._calibrations, row)
        if not self._moments or self._blobs is None:
            return found | {"moments_kind": ""}
        blob = memoryview(self._blobs[row].as_buffer())
        if not found["moments_kind"] and bytes(blob) == _no_moments():
            return found | {"moments": {}}
        read = wire.decode(blob, kind=found["moments_kind"]).arrays
        return found | {"moments": {name: freeze(array) for name, array in read.items()}}

    def _array(self, name: str, row: int) -> NDArray[Any] | None:
        """A vector or matrix of its own; None where there is none."""
        valid, ends, values = self._lists[name]
        if not valid[row]:
            return None
        shape = []
        first, last = row, row + 1
        for level in ends:
            first, last = int(level[first]), int(level[last])
            shape.append(last - first)
        count = 1 if len(shape) == 1 else shape[0]
        if count and shape[-1] % count:
            raise WireError(f"column {name!r} is not a complete matrix")
        if len(shape) == 2:
            starts = ends[1][int(ends[0][row]) : int(ends[0][row + 1]) + 1]
            shape[1] = shape[1] // count if count else 0
            if (np.diff(starts) != shape[1]).any():
                raise WireError(f"column {name!r} is not a complete matrix")
        return freeze(values[first:last].reshape(shape).copy())


def one(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    found = column.combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _valid(column: pa.Array) -> NDArray[np.bool_]:
    """Which rows are there, by the bits of the column: what pyarrow computes, it imports first."""
    if not column.null_count:
        return np.ones(len(column), bool)
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], "uint8"), bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(bool)


def flat(
    column: pa.Array, name: str, levels: int
) -> tuple[NDArray[np.bool_], list[NDArray[np.int64]], NDArray[Any]]:
    """Which rows are there, where the lists of each level end, and all numbers."""
    valid = _valid(column)
    ends = []
    for level in range(levels):
        if level and column.null_count:
            raise WireError(f"column {name!r} has missing rows")
        ends.append(wire.numbers(column.offsets))
        column = column.values
    if column.null_count:
        raise WireError(f"column {name!r} has missing numbers")
    return valid, ends, wire.numbers(column)
