"""What each file of many checkpoints has, in brief: files that cannot have an answer stay closed.

    .index/.day=2024-01-01    a record for each file that was written, one after the other

A record has the name of its file, the first and the last of its checkpoints, 32 bits for each of
its keys, and 128 for all of them together. All of it is repeated from the files, which never change
and whose names are never used again: a record that is torn, lost or of a file that is gone makes no
answer another one. What has no record is read itself. So records are added without a lock, and need
not last.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import paths
from streampca.checkpoint.bundle_index import Index, Rank, key_order
from streampca.checkpoint.fields import Key
from streampca.checkpoint.files import Files, Unusable

__all__ = ["FEW", "MANY", "Asked", "Brief", "Catalogue", "Keys", "OfKey"]

FOLDER = ".index"  # not a day's or a key's, so that readers pass it over

FEW, MANY = 4, 64
"""Files without a record: so few are read at once; of so many the records are written anew."""

_MAGIC = b"idx2"
_HEAD = struct.Struct("<4sII")  # magic, bytes of the rest, its CRC-32
_BODY = struct.Struct("<Q16s8sqqqq16s")  # order, digest, suffix of the name; ranks; all keys
_MOST_BYTES = 2**28


class Brief(NamedTuple):
    """What a file has."""

    first: Rank
    last: Rank
    keys: NDArray[np.uint32]
    """32 bits of each key, sorted; keys that share them cost a file opened in vain."""
    together: bytes
    """The exclusive or of 128 bits of each key."""

    @classmethod
    def of(cls, index: Index) -> Brief:
        """In brief what an index says."""
        return cls(*index.reach(), *_of_keys(tuple(index.keys)))

    def may_have(self, key: Key) -> bool:
        """False if the file has no checkpoint of a key."""
        bits = _bits(key)
        at = int(self.keys.searchsorted(np.uint32(bits)))
        return at < len(self.keys) and int(self.keys[at]) == bits


class Asked:
    """What somebody asks of many files: this one wants all of them."""

    def begin(self) -> None:
        """The files are gone through from the first one on."""

    def wants(self, brief: Brief) -> bool:
        """Whether a file is to be opened, by what it has in brief."""
        return True

    def learn(self, index: Index) -> None:
        """What a file has that was opened."""


class OfKey(Asked):
    """Files that may have a key."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def wants(self, brief: Brief) -> bool:
        """Whether it may have it."""
        return brief.may_have(self._key)


class Keys(Asked):
    """All keys: files stay closed that have none but known ones.

    They do if known keys have the same 32 bits each, and the same 128 bits together.
    """

    def begin(self) -> None:
        """Nothing is known."""
        self.found: set[Key] = set()
        self._known: dict[int, int | None] = {}  # by 32 bits, where one key has these
        self._same: set[tuple[bytes, bytes]] = set()

    def wants(self, brief: Brief) -> bool:
        """Whether it has another key."""
        this = brief.keys.tobytes(), brief.together
        if this in self._same:
            return False
        known = [self._known.get(bits) for bits in brief.keys.tolist()]
        total = 0
        for each in known:
            total ^= each or 0
        if None in known or total != int.from_bytes(brief.together):
            return True
        self._same.add(this)
        return False

    def learn(self, index: Index) -> None:
        """Its keys are known."""
        for key in index.keys:
            if key not in self.found:
                self.found.add(key)
                bits = _bits(key)
                self._known[bits] = None if bits in self._known else _many_bits(key)


class Catalogue:
    """What the files of a store have, as far as it was written down.

    Parameters
    ----------
    files : Files
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._known: dict[str, dict[str, Brief]] = {}  # by day, then by file

    def of_day(self, day: str, listed: Iterable[str]) -> dict[str, Brief]:
        """Of the files of a day that are listed those that are known, in brief."""
        names = set(listed)
        before = self._known.get(day, {})
        known = {name: before[name] for name in names & before.keys()}
        if len(names) - len(known) > FEW:
            known |= {name: brief for name, brief in self._written(day) if name in names}
        self._known[day] = known
        return dict(known)

    def learn(self, day: str, read: Mapping[str, Index]) -> dict[str, Brief]:
        """In brief what files have that were read themselves; of many it is written down."""
        new = {relative: Brief.of(index) for relative, index in read.items()}
        self._known.setdefault(day, {}).update(new)
        if len(new) >= MANY:
            self._append(day, new)
        return new

    def add(self, relative: str, index: Index) -> None:
        """Write down what a file has that has just been written."""
        self._append(relative.partition("/")[0], {relative: Brief.of(index)})

    def tidy(self, day: str, listed: Iterable[str]) -> None:
        """Leave out files that are gone."""
        if not self._files.appends:
            return
        written = dict(self._written(day))
        staying = {name: written[name] for name in listed if name in written}
        if len(staying) == len(written):
            return
        with contextlib.suppress(OSError):
            if staying:
                self._files.write(_place(day), _records(staying))
            else:
                self._files.remove(_place(day))

    # --- inside ---------------------------------------------------------------------------------

    def _append(self, day: str, briefs: Mapping[str, Brief]) -> None:
        """What cannot be written, as on a full disk or where one may only read, is done without."""
        if self._files.appends:
            with contextlib.suppress(OSError):
                self._files.append(_place(day), _records(briefs))

    def _written(self, day: str) -> Iterator[tuple[str, Brief]]:
        if not self._files.appends:
            return
        try:
            with self._files.opened(_place(day)) as file:
                data = file.read_at(0, min(file.size, _MOST_BYTES))
        except (OSError, Unusable):
            return
        for name, brief in _parsed(data):
            yield f"{day}/{name}", brief


def _place(day: str) -> str:
    return f"{FOLDER}/.{day}"  # hidden: Polars looks into hidden folders


def _bits(key: Key) -> int:
    return zlib.crc32(key_order(key)[1])


def _many_bits(key: Key) -> int:
    text = f"{type(key).__name__}:{key}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest())


@lru_cache(maxsize=256)
def _of_keys(keys: tuple[Key, ...]) -> tuple[NDArray[np.uint32], bytes]:
    """As a record has them; files that a job writes one after another have the same."""
    total = 0
    for key in keys:
        total ^= _many_bits(key)
    return np.array(sorted({_bits(key) for key in keys}), "<u4"), total.to_bytes(16)


def _records(briefs: Mapping[str, Brief]) -> bytes:
    """Records of files, by their relative paths."""
    made = []
    for relative, brief in briefs.items():
        name = paths.parse_bundle_name(relative.partition("/")[2])
        assert name is not None
        digest, suffix = bytes.fromhex(name.digest), bytes.fromhex(name.suffix)
        ranks = (*brief.first, *brief.last)
        body = _BODY.pack(name.order, digest, suffix, *ranks, brief.together)
        body += brief.keys.tobytes()
        made.append(_HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body)
    return b"".join(made)


def _parsed(data: bytes) -> Iterator[tuple[str, Brief]]:
    """Names of files, and what these have; what is torn or of a newer version is passed over."""
    at, view = 0, memoryview(data)
    while (at := data.find(_MAGIC, at)) >= 0:
        body = view[at + _HEAD.size :]
        if at + _HEAD.size + _BODY.size <= len(data):
            _, size, checksum = _HEAD.unpack_from(data, at)
            body = body[:size]
            fits = len(body) == size >= _BODY.size and (size - _BODY.size) % 4 == 0
            if fits and zlib.crc32(body) == checksum:
                order, digest, suffix, *ranks, together = _BODY.unpack_from(body)
                keys = np.frombuffer(body, "<u4", offset=_BODY.size)
                name = paths.BundleName(order, digest.hex(), suffix.hex())
                first, last = (ranks[0], ranks[1]), (ranks[2], ranks[3])
                yield paths.spelled(name), Brief(first, last, keys, together)
                at += _HEAD.size + size
                continue
        at += 1
