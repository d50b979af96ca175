"""Where a checkpoint lies in a store: alone, or among others of the same day.

    s-press_204-9c1f06f9a3c8f7d2/w0001704067200000000-s0000000003-k9c1f06f9a3c8f7d2.parquet
    day=2024-01-01/b-17a6310ad6dd1400-8a7d4de8f0d5cbb7b8cd3a9e7a3d6cb3-5ad6a2a1a7f0bb0c.parquet

The name of a file of one tells which is the newest, so that finding it reads no other; and writing
the same checkpoint again, as a retry does, writes the same file. That of a file of many is never
used again; listing.py says why.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from streampca.checkpoint.fields import Key

__all__ = [
    "BundleName",
    "FileName",
    "bundle_name",
    "day_folder",
    "day_number",
    "day_of",
    "file_name",
    "folder_key",
    "is_day",
    "is_key_folder",
    "key_folder",
    "next_order",
    "parse_bundle_name",
    "parse_file_name",
    "spelled",
]

_LONGEST = 96  # escaped characters of a key in a folder's name; file systems allow 255
_FILE = re.compile(r"w(none|-?\d{19})-s(\d{10,19})-k([0-9a-f]{16})\.parquet")
_FOLDER = re.compile(r"([si])-(.*)-([0-9a-f]{16})")
_NONE = "none"
_DAY = 86_400_000_000
_DAY_FOLDER = re.compile(r"day=(none|-?\d{3,6}-\d\d-\d\d)")  # years -999 to -1 have three digits
_BUNDLE = re.compile(r"b-([0-9a-f]{16})-([0-9a-f]{32})-([0-9a-f]{16})\.parquet")


class FileName(NamedTuple):
    """What a checkpoint's file name says."""

    window_end: int | None
    sequence: int
    text: str

    @property
    def order(self) -> tuple[bool, int, int]:
        """Oldest first; checkpoints outside windows come before all windows."""
        return (self.window_end is not None, self.window_end or 0, self.sequence)


def key_folder(key: Key) -> str:
    """The folder of a key: readable as far as it goes, and never that of another key."""
    if key is None:
        return _NONE
    text = "".join(
        chr(byte) if (byte < 128 and chr(byte).isalnum()) or byte in b".-" else f"_{byte:02x}"
        for byte in str(key).encode()
    )
    # A trailing "_" cannot come from escaping: it marks what was cut.
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "_"
    return f"{'i' if isinstance(key, int) else 's'}-{text}-{_digest(key)}"


def folder_key(folder: str) -> tuple[Key, bool] | None:
    """The key whose folder this is, and whether the name holds all of it; None for no key's.

    Raises
    ------
    ValueError
        If the name is like a key's, but disagrees with the hash in it.
    """
    if folder == _NONE:
        return None, True
    found = _FOLDER.fullmatch(folder)
    if found is None:
        return None
    kind, text, digest = found.groups()
    if text.endswith("_"):
        return None, False
    raw = re.sub(rb"_([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), text.encode())
    try:
        key: Key = int(raw) if kind == "i" else raw.decode()
    except ValueError:
        return None
    if _digest(key) != digest:
        raise ValueError("its name and the hash in its name do not agree")
    return key, True


def file_name(key: Key, window_end: int | None, sequence: int) -> str:
    """The name of a checkpoint's file, which sorts by time."""
    end = "none" if window_end is None else f"{'-' * (window_end < 0)}{abs(window_end):019d}"
    return f"w{end}-s{sequence:010d}-k{_digest(key)}.parquet"


def parse_file_name(folder: str, name: str) -> FileName | None:
    """What `file_name` put into the name of a file in this folder; None if it did not make it."""
    found = _FILE.fullmatch(name)
    digest = _digest(None) if folder == _NONE else folder.rpartition("-")[2]
    if found is None or found[3] != digest:
        return None
    return FileName(None if found[1] == "none" else int(found[1]), int(found[2]), name)


def day_of(window_end: int | None) -> str:
    """The day, in UTC, of the last instant before a window's end; "none" outside windows.

    Examples
    --------
    >>> day_of(86_400_000_000), day_of(86_400_000_001), day_of(None)
    ('1970-01-01', '1970-01-02', 'none')
    """
    if window_end is None:
        return _NONE
    return str(np.datetime64((window_end - 1) // _DAY, "D"))


class BundleName(NamedTuple):
    """What the name of a file of many checkpoints says."""

    order: int
    """The highest of its checkpoints."""
    digest: str
    """Of their keys, window ends and sequences."""
    suffix: str
    """By chance, so that no other file has the name."""


def day_folder(window_end: int | None) -> str:
    """The folder of the files of many checkpoints in which one with this window end lies."""
    return f"day={day_of(window_end)}"


def day_number(folder: str) -> float:
    """Days since 1970 of such a folder, for sorting; before all days outside windows."""
    day = folder.removeprefix("day=")
    return -math.inf if day == _NONE else float(np.datetime64(day, "D").astype("int64"))


def is_day(folder: str) -> bool:
    """Whether a folder is one of such files."""
    return _DAY_FOLDER.fullmatch(folder) is not None


def bundle_name(order: int, digest: str) -> str:
    """A name for a file of many checkpoints that no other file has or ever had."""
    return spelled(BundleName(order, digest, secrets.token_hex(8)))


def spelled(name: BundleName) -> str:
    """The name of a file that says this."""
    return f"b-{name.order:016x}-{name.digest}-{name.suffix}.parquet"


def parse_bundle_name(name: str) -> BundleName | None:
    """What `bundle_name` put into a name; None if it did not make it."""
    found = _BUNDLE.fullmatch(name)
    return None if found is None else BundleName(int(found[1], 16), found[2], found[3])


def next_order(names: Iterable[str], now: int) -> int:
    """An order above those of all files in a folder, whatever clocks their writers had.

    One is left out between: what compacting makes of a file of one checkpoint comes in there.
    """
    parsed = (parse_bundle_name(name) for name in names)
    return max([now, *(each.order + 2 for each in parsed if each is not None)])


def is_key_folder(folder: str) -> bool:
    """Whether a folder may be that of a key."""
    return folder == _NONE or _FOLDER.fullmatch(folder) is not None


def _digest(key: Key) -> str:
    text = f"{type(key).__name__}:{key}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
