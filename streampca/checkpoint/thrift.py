"""Thrift's compact protocol, read within its length whatever it claims.

A footer has thousands of numbers, most of them of one byte: what these take is what it takes.
"""

from __future__ import annotations

from typing import Any

from streampca.wire import WireError

__all__ = ["read_struct"]

_DEEPEST = 16


def read_struct(data: bytes) -> dict[int, Any]:
    """Structs as dicts by field id, lists as lists; what stands behind is not read.

    Raises
    ------
    WireError, IndexError
        If it is none, or claims more than there is.
    """
    return _struct(data, 0, 0)[0]


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    if depth > _DEEPEST:
        raise WireError("its footer is nested too deeply")
    fields: dict[int, Any] = {}
    field = 0
    while head := data[at]:
        at += 1
        if head > 15:
            field += head >> 4
        else:
            raw, at = _varint(data, at)
            field = (raw >> 1) ^ -(raw & 1)
        kind = head & 15
        if kind in (4, 5, 6):
            raw, at = data[at], at + 1
            if raw > 127:
                raw, at = _varint(data, at - 1)
            fields[field] = (raw >> 1) ^ -(raw & 1)
        elif kind == 12:
            fields[field], at = _struct(data, at, depth + 1)
        elif kind in (9, 10):
            fields[field], at = _list(data, at, depth + 1)
        elif kind in (7, 8):
            fields[field], at = _bytes(data, at, kind)
        elif kind in (1, 2):  # alone, a boolean is its type; in a list it is a byte
            fields[field] = kind == 1
        elif kind == 3:
            fields[field], at = data[at], at + 1
        else:
            raise WireError(f"its footer holds a value of unknown type {kind}")
    return fields, at + 1


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    if depth > _DEEPEST:
        raise WireError("its footer is nested too deeply")
    count, kind = data[at] >> 4, data[at] & 15
    at += 1
    if count == 15:
        count, at = _varint(data, at)
    if count > len(data) - at:  # each element takes a byte at least
        raise WireError("its footer claims a longer list than it holds")
    if kind in (1, 2, 3):
        return list(data[at : at + count]), at + count
    found: list[Any] = []
    value: Any
    for _ in range(count):
        if kind == 12:
            value, at = _struct(data, at, depth + 1)
        elif kind in (4, 5, 6):
            raw, at = data[at], at + 1
            if raw > 127:
                raw, at = _varint(data, at - 1)
            value = (raw >> 1) ^ -(raw & 1)
        elif kind in (9, 10):
            value, at = _list(data, at, depth + 1)
        elif kind in (7, 8):
            value, at = _bytes(data, at, kind)
        else:
            raise WireError(f"its footer holds a value of unknown type {kind}")
        found.append(value)
    return found, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    total = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        total |= (byte & 0x7F) << shift
        if byte < 128:
            return total, at
    raise WireError("its footer holds a number of more than 64 bits")


def _bytes(data: bytes, at: int, kind: int) -> tuple[bytes, int]:
    """A number of eight bytes, or a text."""
    count = 8
    if kind == 8:
        count, at = data[at], at + 1
        if count > 127:
            count, at = _varint(data, at - 1)
    if count > len(data) - at:
        raise WireError("its footer claims a longer text than it holds")
    return data[at : at + count], at + count
