"""The header of arrays as bytes: their names, types, shapes and order, and JSON values.

It is the same for one window after the other of one key, and of most keys; making and reading
schemas costs more than the numbers do, so those of short headers are kept.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from streampca.wire.sealed import SCHEMA_VERSION, VERSION_KEY, WireError

_HEADER_KEY = b"streampca.header"
# One number type, one column type. bool travels as uint8: Arrow packs bits, numpy does not.
LIST_TYPES = {
    name: pa.large_list(pa.from_numpy_dtype(np.dtype("uint8" if name == "bool" else name)))
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}
_MOST_CACHED = 2**14
"""Bytes of a header whose schema is kept: those of windows and keys are the same again and again,
and making a schema costs more than all the rest."""
_MAX_DIMENSIONS = 32  # numpy 1's limit, far above anything here

Order = Literal["C", "F"]
Layout = tuple[str, str, tuple[int, ...], Order]  # name, dtype, shape, order


def _schema(named: tuple[tuple[str, str], ...], header: bytes, version: int) -> pa.Schema:
    """The columns of arrays of these names and types, with the header that says the rest."""
    return pa.schema(_fields(named), {VERSION_KEY: str(version), _HEADER_KEY: header})


_kept_schema = functools.lru_cache(maxsize=256)(_schema)


def _fields(named: tuple[tuple[str, str], ...]) -> list[pa.Field]:
    return [pa.field(name, LIST_TYPES[dtype], nullable=False) for name, dtype in named]


class Header(NamedTuple):
    """What the header of some bytes says, and never changes."""

    kind: str
    layout: list[Layout]
    packed: bool
    columns: pa.Schema
    meta: str  # JSON, so that each reader has its own


def _header(text: bytes) -> Header:
    found = _parsed(text)
    layout = _check_layout(found["arrays"])
    packed = bool(found.get("packed", 0))
    named = tuple((dtype if packed else name, dtype) for name, dtype, *_ in layout)
    columns = pa.schema(_fields(tuple(dict.fromkeys(named)) if packed else named))
    return Header(found["kind"], layout, packed, columns, json.dumps(found["meta"]))


_kept_header = functools.lru_cache(maxsize=256)(_header)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"Foreign data: the header is not JSON ({error}).") from error
    types = {"kind": str, "arrays": list, "meta": dict}
    if not isinstance(header, dict) or any(
        not isinstance(header.get(name), wanted) for name, wanted in types.items()
    ):
        raise WireError("Foreign data: the header lacks its kind, arrays or meta.")
    return header


def _check_layout(entries: list[Any]) -> list[Layout]:
    layout: list[Layout] = []
    for entry in entries:
        match entry:
            case [str(name), str(dtype), [*shape], ("C" | "F") as order] if (
                dtype in LIST_TYPES
                and len(shape) <= _MAX_DIMENSIONS
                and all(type(size) is int and 0 <= size < 2**62 for size in shape)
            ):
                layout.append((name, dtype, tuple(shape), order))
            case _:
                raise WireError(f"Corrupt data: array layout {str(entry)[:80]!r} is not readable.")
    if len({name for name, *_ in layout}) < len(layout):
        raise WireError("Corrupt data: two arrays have the same name.")
    return layout


def read_header(schema: pa.Schema) -> Header:
    """The header that a schema carries.

    Raises
    ------
    WireError
        If there is none, or if the columns are not those that it names.
    """
    text = (schema.metadata or {}).get(_HEADER_KEY) or b""
    header = _kept_header(text) if len(text) <= _MOST_CACHED else _header(text)
    if not schema.equals(header.columns, check_metadata=False):
        raise WireError("Corrupt data: the columns are not those that the header names.")
    return header


def schema_of(named: tuple[tuple[str, str], ...], header: bytes) -> pa.Schema:
    """The columns of these names and types, with a header that says the rest."""
    made = _kept_schema if len(header) <= _MOST_CACHED else _schema
    return made(named, header, SCHEMA_VERSION)
