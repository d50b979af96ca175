"""Dictionaries of arrays as versioned, checksummed Arrow bytes, and back.

What workers send each other and what is kept between minibatches goes through here. This room
knows neither moments nor checkpoints, and it never pickles: reading runs no code from the data.
Each array is one plain list column of one row; names, shapes and JSON values are in a header.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from streampca.wire.header import LIST_TYPES, Header, Layout, Order, read_header, schema_of
from streampca.wire.sealed import WireError, seal, unseal

__all__ = ["Wire", "WireError", "decode", "encode", "numbers"]


class Wire(NamedTuple):
    """What `decode` returns: the kind of thing, its arrays, and its JSON values."""

    kind: str
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


def encode(
    kind: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], *, packed: bool = False
) -> bytes:
    """Write named arrays and JSON values as bytes that `decode` reads back bit for bit.

    Parameters
    ----------
    kind : str
        What this is, for example ``"moments/dense"``; `decode` can insist on it.
    arrays : mapping of str to ndarray
        Numbers or booleans of any shape, 0-d and empty included. C and Fortran order are kept,
        because the order of a matrix can change the last bits of a product.
    meta : mapping of str to JSON values
        Anything that `json` writes, without NaN and infinity.
    packed : bool, default=False
        True: numbers of one type are one column, as which many small arrays are written and read
        much faster. Only newer versions read it: it is for state and for what workers send.

    Returns
    -------
    bytes
        An Arrow IPC stream and a checksum.

    Raises
    ------
    TypeError
        If an array holds anything but real numbers or booleans, or `meta` is not JSON.
    ValueError
        If `meta` holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> data = encode("example", {"mean": np.arange(3.0)}, {"rows": 7})
    >>> decode(data)
    Wire(kind='example', arrays={'mean': array([0., 1., 2.])}, meta={'rows': 7})
    """
    flats, layout = [], []
    for name, given in arrays.items():
        array = np.asarray(given)
        dtype = _type_name(array.dtype)
        if dtype not in LIST_TYPES:
            raise TypeError(
                f"Array {name!r} has dtype {array.dtype}; only real numbers and booleans can be "
                "written: put text into `meta`."
            )
        order: Order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        flat = array.astype(array.dtype.newbyteorder("="), copy=False).ravel(order=order)
        flats.append((name, dtype, flat.view(np.uint8) if dtype == "bool" else flat))
        layout.append([name, dtype, list(array.shape), order])
    found = {"kind": kind, "arrays": layout, "meta": dict(meta)} | ({"packed": 1} if packed else {})
    try:
        header = json.dumps(found, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise type(error)(f"`meta` of {kind!r} cannot be written as JSON: {error}.") from error
    flats = _packed(flats) if packed else flats
    columns = [_one_list(flat, dtype) for _, dtype, flat in flats]
    named = tuple((name, dtype) for name, dtype, _ in flats)
    return seal(pa.RecordBatch.from_arrays(columns, schema=schema_of(named, header)))


_Flat = tuple[str, str, np.ndarray]  # name, dtype, numbers


def _packed(flats: list[_Flat]) -> list[_Flat]:
    """One array for each type, with the numbers of all that have it."""
    types = dict.fromkeys(dtype for _, dtype, _ in flats)
    return [(t, t, np.concatenate([flat for _, dtype, flat in flats if dtype == t])) for t in types]


@functools.lru_cache(maxsize=64)
def _type_name(dtype: np.dtype[Any]) -> str:
    """A name that takes numpy a while to make."""
    return dtype.name


def _one_list(flat: np.ndarray, dtype: str) -> pa.Array:
    """A list column of one row, without a copy."""
    kind = LIST_TYPES[dtype]
    values = pa.Array.from_buffers(kind.value_type, len(flat), [None, pa.py_buffer(flat)], 0)
    ends = pa.py_buffer(np.array([0, len(flat)], "int64"))
    return pa.Array.from_buffers(kind, 1, [None, ends], 0, children=[values])


def decode(
    data: bytes | bytearray | memoryview,
    *,
    kind: str | None = None,
    only: Collection[str] | None = None,
) -> Wire:
    """Read what `encode` wrote; every length, type and shape is checked.

    Parameters
    ----------
    data : bytes-like
        What `encode` returned. It is not kept: the arrays own their memory and may be written to.
    kind : str, optional
        The kind that is wanted; None takes any.
    only : collection of str, optional
        Names of the arrays that are wanted, of those that there are; None: all.

    Returns
    -------
    Wire
        ``(kind, arrays, meta)``. Memory is bounded by a small multiple of ``len(data)``.

    Raises
    ------
    WireError
        If the bytes are torn, changed, foreign, newer, or of another kind.

    Examples
    --------
    >>> data = encode("example", {}, {})
    >>> decode(data[:-1])
    Traceback (most recent call last):
        ...
    streampca.wire.sealed.WireError: Torn data: ...
    """
    found: list[Header] = []

    def check(schema: pa.Schema) -> None:
        found.append(read_header(schema))

    batch = unseal(data, check)
    (header,) = found
    if kind is not None and header.kind != kind:
        raise WireError(f"Expected {kind!r}, but the data holds {header.kind!r}.")
    # Arrow gives a batch without columns no row.
    if batch.num_rows != bool(header.layout):
        raise WireError(f"Corrupt data: {batch.num_rows} rows where one was written.")
    wanted = [entry for entry in header.layout if only is None or entry[0] in only]
    if header.packed:
        arrays = _unpacked(batch, header, wanted)
    else:
        at = {name: i for i, (name, *_) in enumerate(header.layout)}
        arrays = {
            name: _shaped(_flat(batch.column(at[name]), name), name, dtype, shape, order)
            for name, dtype, shape, order in wanted
        }
    return Wire(header.kind, arrays, json.loads(header.meta))


def _unpacked(batch: pa.RecordBatch, header: Header, wanted: list[Layout]) -> dict[str, np.ndarray]:
    """Arrays whose numbers lie in one column for each type, one after the other."""
    flats = {name: _flat(batch.column(name), name) for name in header.columns.names}
    ends = dict.fromkeys(flats, 0)
    places: dict[str, slice] = {}
    for name, dtype, shape, _ in header.layout:
        places[name] = slice(ends[dtype], ends[dtype] + math.prod(shape))
        ends[dtype] = places[name].stop
    for dtype, flat in flats.items():
        if len(flat) != ends[dtype]:
            raise WireError(
                f"Corrupt data: {len(flat)} numbers of type {dtype}, not the {ends[dtype]} that "
                "the header names."
            )
    return {
        name: _shaped(flats[dtype][places[name]], name, dtype, shape, order)
        for name, dtype, shape, order in wanted
    }


def numbers(values: pa.Array) -> np.ndarray:
    """Numbers without gaps as a view that nobody can write to.

    pyarrow's own `to_numpy` imports pandas, where it is installed, which takes half a second.
    """
    return np.from_dlpack(values)


def _flat(column: pa.Array, name: str) -> np.ndarray:
    """The numbers of a column of one row, as a view."""
    first, end = (int(each) for each in numbers(column.offsets))
    values = column.values.slice(first, end - first)
    if values.null_count:
        raise WireError(f"Corrupt data: array {name!r} has missing numbers.")
    return numbers(values)


def _shaped(
    flat: np.ndarray, name: str, dtype: str, shape: tuple[int, ...], order: Order
) -> np.ndarray:
    """Numbers as an array that owns its memory; Python integers cannot overflow here."""
    if len(flat) != math.prod(shape):
        raise WireError(
            f"Corrupt data: array {name!r} holds {len(flat)} values, not the shape {shape}."
        )
    flat = flat.copy()
    if dtype == "bool":
        if flat.size and flat.max() > 1:
            raise WireError(f"Corrupt data: array {name!r} holds booleans other than 0 and 1.")
        flat = flat.view(np.bool_)
    try:
        return flat.reshape(shape, order=order)
    except ValueError as error:  # an empty array whose other sizes exceed what numpy can address
        raise WireError(f"Corrupt data: array {name!r} cannot have shape {shape}.") from error
