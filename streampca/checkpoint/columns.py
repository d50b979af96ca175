"""A checkpoint as one Arrow row of plain columns.

Anything can read the columns: DuckDB, Polars, pandas. What comes back is compared with the schema
before it is read and with its checksum afterwards. This room knows columns; whether the values make
a checkpoint is for record.py to say.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca import wire
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
    settings_of,
)
from streampca.text import version
from streampca.wire import SCHEMA_VERSION, UNREADABLE, VERSION_KEY, WireError, check_version

__all__ = [
    "KNOWN",
    "OPTIONAL",
    "SCHEMA",
    "SHOWN",
    "CheckpointError",
    "CheckpointWarning",
    "as_checkpoint_error",
    "check_schema",
    "from_batch",
    "list_of",
    "to_batch",
]


def list_of(element: pa.DataType) -> pa.DataType:
    """A list, as in the columns."""
    # Parquet's own name for the element, without null: a file cannot claim values it does not hold.
    return pa.large_list(pa.field("element", element, nullable=False))


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_TIME = pa.timestamp("us", tz="UTC")
_VECTOR = list_of(pa.float64())
_MATRIX = list_of(_VECTOR)
_MATRIX_32 = list_of(list_of(pa.float32()))

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        _required("key_type", pa.string()),  # "str", "int" or "none": the key is always text
        pa.field("window_start", _TIME),
        pa.field("window_end", _TIME),
        _required("sequence", pa.int64()),
        _required("late", pa.bool_()),
        _required("n_samples_seen", pa.int64()),
        _required("weight", pa.float64()),
        pa.field("feature_names", list_of(pa.string())),
        _required("mean", _VECTOR),
        _required("components", _MATRIX),
        _required("explained_variance", _VECTOR),
        _required("explained_variance_ratio", _VECTOR),
        _required("total_variance", pa.float64()),
        _required("decoder", _MATRIX),
        _required("encoder", _MATRIX),
        _required("residuals", _VECTOR),
        _required("discarded_variance", pa.float64()),
        pa.field("drift_angle", pa.float64()),
        pa.field("drift_cosines", _VECTOR),
        _required("settings", pa.string()),  # JSON
        _required("moments_kind", pa.string()),
        _required("moments", pa.large_binary()),  # streampca.wire.arrays
        _required("checksum", pa.int64()),  # CRC-32 of all columns but the moments, which have one
        pa.field("scale", _VECTOR),  # since schema 2; null where features have their own units
        pa.field("calibration", pa.large_binary()),  # streampca.wire.arrays, or null
        pa.field("effective_rows", pa.float64()),  # since schema 3; null where that is not known
    ]
)
"""The columns. Matrices are float32 where the model is; `decoder` is (n, p), the others (p, n)."""

KNOWN = ("feature_names", "settings")
"""What many checkpoints have in common, and what files of many keep once."""

SHOWN = (
    *("key", "key_type", "window_start", "window_end", "sequence", "late", "n_samples_seen"),
    *("weight", "explained_variance", "explained_variance_ratio", "total_variance"),
    *("drift_angle", "drift_cosines"),
)
"""What a history shows, in the order of columns; files of many have a checksum of these alone."""

_SINCE = {"scale": 2, "effective_rows": 3}
"""The schema that a column came with; older files have none of it."""
OPTIONAL = ("calibration",)
"""Columns that a file of any schema may lack; they have a checksum of their own, so that versions
which do not know them read the rest."""


class CheckpointWarning(UserWarning):
    """A file in a store is torn, changed or foreign, and was skipped; the message names it."""


class CheckpointError(WireError):
    """A checkpoint that is torn, changed, foreign, or written by a newer streampca."""


@contextlib.contextmanager
def as_checkpoint_error(what: str) -> Iterator[None]:
    """Report any trouble in reading as one `CheckpointError`."""
    try:
        yield
    except (*UNREADABLE, TypeError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's or the network's trouble, not the file's; Arrow's own has no number
        these = f"These {what} are" if what == "bytes" else f"This {what} is"
        raise CheckpointError(f"{these} not a readable checkpoint: {error}") from error


# --- one row --------------------------------------------------------------------------------------


def to_batch(checkpoint: Mapping[str, Any]) -> pa.RecordBatch:
    """The fields of a checkpoint, by name, as a record batch of one row."""
    key, drift = checkpoint["key"], checkpoint["drift"]
    values = {name: checkpoint[name] for name in (*SCALARS, "window_start", "window_end")}
    values |= {
        "key": None if key is None else str(key),
        "key_type": "none" if key is None else type(key).__name__,
        "feature_names": checkpoint["feature_names"],
        "effective_rows": checkpoint["effective_rows"],
        "drift_angle": None if drift is None else drift.angle,
        "settings": json.dumps(checkpoint["settings"], allow_nan=False),
        "moments_kind": checkpoint["moments_kind"],
        "moments": wire.encode(checkpoint["moments_kind"], checkpoint["moments"], {}),
        "checksum": checksum(checkpoint),
    }
    arrays = {
        field.name: pa.array([values[field.name]], field.type)
        for field in SCHEMA
        if field.name in values
    }
    arrays |= {name: _as_list(checkpoint[name]) for name in VECTORS}
    arrays |= {name: _as_list(checkpoint[name]) for name in MATRICES}
    scale = checkpoint["scale"]
    arrays["scale"] = pa.nulls(1, _VECTOR) if scale is None else _as_list(scale)
    arrays["calibration"] = pa.array([calibration_bytes(checkpoint)], pa.large_binary())
    cosines = None if drift is None else drift.cosines
    arrays["drift_cosines"] = pa.nulls(1, _VECTOR) if cosines is None else _as_list(cosines)
    metadata = {
        VERSION_KEY: str(SCHEMA_VERSION),
        b"streampca.version": version(),
    }
    fields = [field.with_type(arrays[field.name].type) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(
        [arrays[field.name] for field in fields], schema=pa.schema(fields, metadata)
    )


def from_batch(batch: pa.RecordBatch, row: int = 0, *, moments: bool = True) -> dict[str, Any]:
    """The fields of the checkpoint in one row; `moments` False needs and reads none."""
    check_schema(batch.schema, moments=moments)
    if not 0 <= row < batch.num_rows:
        raise WireError(f"it has {batch.num_rows} rows, and row {row} was asked for")
    columns = {name: batch.column(name).slice(row, 1) for name in batch.schema.names}
    columns = {
        name: column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        for name, column in columns.items()
    }
    for field in SCHEMA:
        if field.name in columns and not field.nullable and columns[field.name].null_count:
            raise WireError(f"column {field.name!r} is empty")
    times = {
        name: columns[name].view(pa.int64())[0].as_py() for name in ("window_start", "window_end")
    }
    values = {name: columns[name][0].as_py() for name in SCALARS} | times
    values |= {name: _as_array(columns[name], name, 1) for name in VECTORS}
    values |= {name: _as_array(columns[name], name, 2) for name in MATRICES}
    names = columns["feature_names"][0].as_py()
    values |= {
        "key": key_of(columns["key"][0].as_py(), columns["key_type"][0].as_py()),
        "feature_names": None if names is None else tuple(names),
        "drift": _drift(columns["drift_angle"], columns["drift_cosines"]),
        "settings": settings_of(columns["settings"][0].as_py()),
        "scale": _vector_or_none(columns.get("scale"), "scale"),
        "calibration": calibration_of(columns.get("calibration")),
        "effective_rows": columns.get("effective_rows", [pa.scalar(None)])[0].as_py(),
        "moments_kind": columns["moments_kind"][0].as_py(),
    }
    if checksum(values) != columns["checksum"][0].as_py():
        raise WireError("the checksum does not match: it was changed after it was written")
    if not moments:
        return values | {"moments_kind": ""}
    blob = memoryview(columns["moments"][0].as_buffer())
    arrays = wire.decode(blob, kind=values["moments_kind"]).arrays
    return values | {"moments": {name: freeze(array) for name, array in arrays.items()}}


def check_schema(schema: pa.Schema, *, moments: bool = True, lean: bool = False) -> None:
    """Raise unless the columns are a checkpoint's, of a version that can be read."""
    version = check_version(schema.metadata)
    for field in SCHEMA:
        at = schema.get_all_field_indices(field.name)
        if not at and (field.name in OPTIONAL or version < _SINCE.get(field.name, 1)):
            continue
        if (field.name == "moments" and not moments) or (lean and field.name in KNOWN):
            continue
        if len(at) != 1:
            raise WireError(f"it has {len(at)} columns named {field.name!r} instead of one")
        allowed = (field.type, _MATRIX_32) if field.name in MATRICES else (field.type,)
        if schema.field(at[0]).type not in allowed:
            raise WireError(
                f"column {field.name!r} has type {schema.field(at[0]).type}, not {field.type}"
            )


# --- single values --------------------------------------------------------------------------------


def _as_list(array: NDArray[Any]) -> pa.Array:
    """A C-ordered vector or matrix as a list column of one row, without a copy."""
    values = pa.array(array.reshape(-1))
    for size in (*array.shape[:0:-1], None):
        length = len(values)
        ends = np.arange(0, length + 1, size) if size else np.array([0, length])
        values = pa.LargeListArray.from_arrays(
            pa.array(ends, pa.int64()), values, type=list_of(values.type)
        )
    return values


def _as_array(column: pa.Array, name: str, dimensions: int) -> NDArray[Any]:
    shape = []
    for _ in range(dimensions):
        # by numpy: pyarrow's own functions import pandas, where it is installed, for half a second
        ends = wire.numbers(column.offsets)
        lengths = np.diff(ends)
        if column.null_count or len(lengths) == 0 or (lengths != lengths[0]).any():
            raise WireError(f"column {name!r} is not a whole vector or matrix")
        shape.append(int(lengths[0]))
        column = column.values.slice(int(ends[0]), int(ends[-1] - ends[0]))
    if column.null_count:
        raise WireError(f"column {name!r} has missing numbers")
    return freeze(wire.numbers(column).reshape(shape).copy())


def _vector_or_none(column: pa.Array | None, name: str) -> NDArray[Any] | None:
    return None if column is None or column.null_count else _as_array(column, name, 1)


def _drift(angle: pa.Array, cosines: pa.Array) -> Drift | None:
    if angle.null_count or cosines.null_count:
        return None
    return Drift(angle[0].as_py(), _as_array(cosines, "drift_cosines", 1))
