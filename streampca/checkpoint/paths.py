"""Where a checkpoint lies in a store: one folder per key, one file per window end and sequence.

    s-press_204-9c1f06f9a3c8f7d2/w0001704067200000000-s0000000003-k9c1f06f9a3c8f7d2.parquet

The name alone tells which file is the newest, so that finding it reads no other; and writing the
same checkpoint again, as a retry does, writes the same file.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

import numpy as np

from streampca.checkpoint.fields import Key

__all__ = [
    "FileName",
    "bundle_digest",
    "bundle_name",
    "day_of",
    "file_name",
    "folder_key",
    "is_day",
    "is_key_folder",
    "key_folder",
    "parse_file_name",
]

_LONGEST = 96  # escaped characters of a key in a folder's name; file systems allow 255
_FILE = re.compile(r"w(none|-?\d{19})-s(\d{10,19})-k([0-9a-f]{16})\.parquet")
_FOLDER = re.compile(r"([si])-(.*)-([0-9a-f]{16})")
_NONE = "none"
_DAY = 86_400_000_000
_DAY_FOLDER = re.compile(r"day=(none|-?\d{4,6}-\d\d-\d\d)")
_BUNDLE = re.compile(r"b-([0-9a-f]{32})\.parquet")


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
    """The key whose folder this is, and whether the name holds it whole; None for no key's.

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


def bundle_name(day: str, digest: str) -> str:
    """The path of a file of many checkpoints."""
    return f"day={day}/b-{digest}.parquet"


def is_key_folder(folder: str) -> bool:
    """Whether a folder may be that of a key."""
    return folder == _NONE or _FOLDER.fullmatch(folder) is not None


def is_day(folder: str) -> bool:
    """Whether a folder is one of such files."""
    return _DAY_FOLDER.fullmatch(folder) is not None


def bundle_digest(name: str) -> str | None:
    """What such a file's name says of its content; None if it is none."""
    found = _BUNDLE.fullmatch(name)
    return None if found is None else found[1]


def _digest(key: Key) -> str:
    text = f"{type(key).__name__}:{key}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
