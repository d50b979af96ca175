"""Which checkpoints a file of many has, in which row: sorted by key, then time."""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca import wire
from streampca.checkpoint.fields import Key
from streampca.wire import WireError

__all__ = ["Index", "Name", "Rank", "key_order", "order_of"]

_KIND = "checkpoints"
_ARRAYS = {
    "key": "int32",
    "window_end": "int64",
    "has_end": "bool",
    "sequence": "int64",
    "order": "int64",
    "moments": "bool",
    "known": "int32",
}
_SHOWN = "shown"
"""Checksums that files of older versions lack."""

Rank = tuple[int, int]
"""Window end and sequence of a name, as numbers that sort as names do."""

_OUTSIDE = -(2**63)
"""For a window end, where there is none."""


class Name(NamedTuple):
    """What makes a checkpoint of a key another one."""

    window_end: int | None
    sequence: int

    @property
    def order(self) -> tuple[bool, int, int]:
        """Oldest first; checkpoints outside windows come before all windows."""
        return (self.window_end is not None, self.window_end or 0, self.sequence)

    @property
    def rank(self) -> Rank:
        """The same order."""
        return (_OUTSIDE if self.window_end is None else self.window_end, self.sequence)


def key_order(key: Key) -> tuple[bool, bytes, bool]:
    """As text, which is how files are sorted and skipped; 1 before "1"."""
    return (key is not None, b"" if key is None else str(key).encode(), isinstance(key, str))


def order_of(checkpoint: Any) -> tuple[Any, ...]:
    """By key, then time."""
    name = Name(checkpoint.window_end, checkpoint.sequence)
    return (key_order(checkpoint.key), *name.order)


class Index:
    """Names of the rows of a file; `keys` sorted, and the rows of each together."""

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any], digest: str
    ) -> None:
        self._arrays, self._meta = arrays, meta
        self.keys: list[Key] = meta["keys"]
        self.group_rows: int = meta["group_rows"]
        self.checksum: int = meta["checksum"]  # of the pages
        self.types: str = meta["types"]  # of the numbers in matrices
        self.digest = digest

    def __len__(self) -> int:
        return len(self._arrays["key"])

    @classmethod
    def of(
        cls,
        rows: Sequence[Any],
        orders: Sequence[int],
        types: str,
        group_rows: int,
        checksum: int,
        shown: Sequence[int],
    ) -> Index:
        """That of checkpoints in order; of `orders` the higher counts, where two files have one."""
        keys: dict[Key, int] = {}
        known: dict[str, int] = {}
        values: dict[str, list[Any]] = {name: [] for name in _ARRAYS}
        for row, order in zip(rows, orders, strict=True):
            content = json.dumps([row.feature_names, row.settings], allow_nan=False)
            values["key"].append(keys.setdefault(row.key, len(keys)))
            values["window_end"].append(row.window_end or 0)
            values["has_end"].append(row.window_end is not None)
            values["sequence"].append(row.sequence)
            values["order"].append(order)
            values["moments"].append(bool(row.moments_kind or row.moments))
            values["known"].append(known.setdefault(content, len(known)))
        arrays = {name: np.array(values[name], dtype) for name, dtype in _ARRAYS.items()}
        arrays[_SHOWN] = np.array(shown, "int64")
        meta: dict[str, Any] = {
            "keys": list(keys),
            "known": [json.loads(content) for content in known],
            "types": types,
            "group_rows": group_rows,
            "checksum": checksum,
        }
        return cls(arrays, meta, _digest(arrays, meta["keys"]))

    def to_bytes(self) -> bytes:
        """Sealed bytes."""
        return wire.encode(_KIND, self._arrays, self._meta)

    @classmethod
    def from_bytes(cls, data: bytes) -> Index:
        """Read what `to_bytes` wrote, and check that it is in order."""
        found = wire.decode(data, kind=_KIND)
        arrays, meta = found.arrays, found.meta
        for name, dtype in _ARRAYS.items():
            array = arrays.get(name)
            if array is None or array.ndim != 1 or array.dtype != dtype:
                raise WireError(f"its index lacks {name}")
        keys: Any = meta.get("keys")
        known: Any = meta.get("known")
        count, types = meta.get("group_rows"), meta.get("types")
        lists = isinstance(keys, list) and isinstance(known, list) and isinstance(types, str)
        numbers = type(count) is int and count > 0 and type(meta.get("checksum")) is int
        if not lists or not numbers:
            raise WireError("its index has no keys, or none of what it has to say of itself")
        m = len(arrays["key"])
        sizes = {len(arrays[name]) for name in _ARRAYS}
        codes = arrays["key"], arrays["known"]
        limits = len(keys), len(known)
        inside = all(((c >= 0) & (c < n)).all() for c, n in zip(codes, limits, strict=True))
        ordered = (
            m > 0 and (np.diff(arrays["key"]) >= 0).all() and arrays["key"][-1] == limits[0] - 1
        )
        if sizes != {m} or not inside or not ordered:
            raise WireError("its index is not in order")
        if not all(type(key) in (str, int, type(None)) for key in keys):
            raise WireError("its index has keys that are none")
        _orders(tuple(keys))
        return cls(arrays, meta, _digest(arrays, keys))

    @cached_property
    def _orders(self) -> list[Any]:
        return _orders(tuple(self.keys))

    def rows_of(self, key: Key) -> range:
        """The rows of a key."""
        orders, order = self._orders, key_order(key)
        code = bisect.bisect_left(orders, order)
        if code == len(orders) or orders[code] != order:
            return range(0)
        first, end = np.searchsorted(self._arrays["key"], [code, code + 1])
        return range(int(first), int(end))

    def name(self, row: int) -> Name:
        """The name of the checkpoint in a row."""
        arrays = self._arrays
        end = int(arrays["window_end"][row]) if arrays["has_end"][row] else None
        return Name(end, int(arrays["sequence"][row]))

    def order(self, row: int) -> int:
        """Of the same checkpoint in two files, that of the higher order counts."""
        return int(self._arrays["order"][row])

    @property
    def highest(self) -> int:
        """Of all orders."""
        return int(self._arrays["order"].max())

    def reach(self) -> tuple[Rank, Rank]:
        """The ranks of the oldest and of the newest checkpoint, of whatever keys."""
        ends = np.where(self._arrays["has_end"], self._arrays["window_end"], _OUTSIDE)
        first, last = ends.min(), ends.max()
        sequence = self._arrays["sequence"]
        oldest, newest = sequence[ends == first].min(), sequence[ends == last].max()
        return (int(first), int(oldest)), (int(last), int(newest))

    def has_moments(self, row: int) -> bool:
        """Whether the checkpoint in a row has what is only for going on."""
        return bool(self._arrays["moments"][row])

    def shown(self, group: int) -> int | None:
        """The checksum of those columns of a group that a history shows; None if there is none."""
        there = self._arrays.get(_SHOWN)
        known = there is not None and there.shape == (-(-len(self) // self.group_rows),)
        return int(there[group]) if there is not None and known else None

    def key(self, row: int) -> Key:
        """The key of the checkpoint in a row."""
        return self.keys[int(self._arrays["key"][row])]

    def rows(self) -> Iterator[tuple[Key, Name, int]]:
        """Key, name and order of all rows."""
        columns = ("key", "window_end", "has_end", "sequence", "order")
        for code, end, has_end, *others in zip(
            *(self._arrays[name].tolist() for name in columns), strict=True
        ):
            sequence, order = others
            yield self.keys[code], Name(end if has_end else None, sequence), order

    def known(self, row: int) -> dict[str, Any]:
        """Fields of the checkpoint in a row that many have in common."""
        names, settings = self._meta["known"][int(self._arrays["known"][row])]
        return {
            "feature_names": None if names is None else tuple(names),
            "settings": dict(settings),
        }


@lru_cache(maxsize=256)
def _orders(keys: tuple[Key, ...]) -> list[Any]:
    """Of keys that have to be in order; files that a job writes one after another have the same."""
    found = [key_order(key) for key in keys]
    if any(a >= b for a, b in pairwise(found)):
        raise WireError("the keys of its index are not in order")
    return found


def _digest(arrays: Mapping[str, NDArray[Any]], keys: list[Key]) -> str:
    """Of names alone: files with the same one have the same checkpoints, older or newer."""
    found = hashlib.blake2b(json.dumps(keys).encode(), digest_size=16)
    for name in ("key", "window_end", "has_end", "sequence"):
        array = arrays[name]
        found.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()
