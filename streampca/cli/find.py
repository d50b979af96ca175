"""The checkpoint that a command is about: of a store, by key and time, or in a file of its own."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from streampca import Checkpoint, CheckpointStore
from streampca.checkpoint import Key, Summary, is_bundle
from streampca.cli.options import read_time
from streampca.cli.output import time_text

_NONE = "none"
_MOST_DIGITS = 1000
"""No key has more."""


def _shown(keys: list[Key]) -> str:
    shown = ", ".join(_NONE if key is None else str(key) for key in keys[:8])
    return shown + (f" and {len(keys) - 8:,} more" if len(keys) > 8 else "")


def is_store(place: str) -> bool:
    """Whether a place is a folder or a URI, and no file."""
    return "://" in place or Path(place).is_dir()


def open_store(place: str) -> CheckpointStore:
    """The store at a place.

    Raises
    ------
    ValueError
        If there is nothing.
    """
    if not is_store(place):
        what = "a file, not a folder" if Path(place).exists() else "not there"
        raise ValueError(f"{place}: is {what}; give the folder of a store, as fit --output made it")
    return CheckpointStore(place)


def read_file(place: str, *, moments: bool = False) -> Checkpoint:
    """The checkpoint in a file: one of a store's, or the bytes of `Checkpoint.to_bytes`.

    Raises
    ------
    CheckpointError
        If the file is torn, changed, foreign or newer.
    """
    from streampca.files import require_readable

    require_readable(place)
    data = Path(place).read_bytes()
    if is_bundle(data):
        raise ValueError(
            f"{place}: is a file of many checkpoints; give the folder of its store, and --key and "
            "--at to choose one"
        )
    try:
        if data[:4] == b"PAR1":
            return Checkpoint.from_parquet_bytes(data, moments=moments)
        return Checkpoint.from_bytes(data)
    except ValueError as error:
        said = f"{place}: {error}"
        if "streampca did not write" in said:
            said += " If these are rows, give the store first, the folder that fit --output made"
        raise type(error)(said) from error


def store_key(store: CheckpointStore, key: str | None) -> Key:
    """The key that a text stands for; the only one where none is given.

    Raises
    ------
    ValueError
        If there is no such key, or there are several to choose from.
    """
    if key is not None:
        for spelled in _spelled(key):
            if any(True for _ in store.places.newest_first(spelled)):  # reads no other days' files
                return spelled
    keys = store.keys()
    if not keys:
        raise ValueError(f"{store.uri}: holds no checkpoint that can be read")
    if key is None:
        if None in keys:
            return None
        if len(keys) == 1:
            return keys[0]
        raise ValueError(
            f"{store.uri}: has {len(keys):,} keys; choose one with --key: {_shown(keys)}"
        )
    if key == _NONE and None in keys:
        return None
    if keys == [None]:
        raise ValueError(
            f"{store.uri}: there is no key {key!r}; its only model is one without a key: leave out "
            "--key"
        )
    raise ValueError(f"{store.uri}: there is no key {key!r}; it has {_shown(keys)}")


def _spelled(key: str) -> list[str | int]:
    """What keys a text may stand for: a number before a text, as keys are listed."""
    number = key.removeprefix("-")
    is_number = number.isascii() and number.isdecimal() and len(key) < _MOST_DIGITS
    return [int(key), key] if is_number and str(int(key)) == key else [key]


def find(
    place: str, key: str | None = None, at: str | None = None, *, moments: bool = False
) -> Checkpoint:
    """The newest checkpoint at a place, or the one of a time.

    Raises
    ------
    ValueError
        If there is none, or a file's is another one.
    """
    time = read_time(at)
    if not is_store(place) and Path(place).exists():
        if key is not None or time is not None:
            raise ValueError(f"{place}: is one checkpoint; --key and --at are for stores")
        return read_file(place, moments=moments)
    store = open_store(place)
    return find_in(store, store_key(store, key), time, moments=moments)


def find_in(
    store: CheckpointStore,
    key: Key,
    time: datetime.datetime | None = None,
    *,
    moments: bool = False,
) -> Checkpoint:
    """The newest checkpoint of a key, or the one of a time.

    Raises
    ------
    ValueError
        If there is none.
    """
    whose = "" if key is None else f" of key {key!r}"
    if time is None:
        found = store.latest(key, moments=moments)
        if found is None:
            raise ValueError(f"{store.uri}: holds no checkpoint{whose} that can be read")
        return found
    found = store.at(time, key, moments=moments)
    if found is not None:
        return found
    ends = [c.window_end for c in store.history(key, moments=False) if c.window_end is not None]
    if not ends:
        raise ValueError(
            f"{store.uri}: its checkpoints{whose} have no times; fit with --timestamp-column, or "
            "leave out --at"
        )
    raise ValueError(
        f"{store.uri}: no checkpoint{whose} had been taken by {time.isoformat()}; the first is of "
        f"{time_text(ends[0])}"
    )


def find_history(place: str, key: str | None) -> list[Checkpoint]:
    """All checkpoints of a key, oldest first; without moments.

    Raises
    ------
    ValueError
        If there is none.
    """
    store = open_store(place)
    return _some(store, store.history(store_key(store, key), moments=False))


def find_summaries(place: str, key: str | None, last: int | None = None) -> list[Summary]:
    """What is short of all checkpoints of a key, or of so many of the newest, oldest first.

    Raises
    ------
    ValueError
        If there is none.
    """
    store = open_store(place)
    return _some(store, store.summaries(store_key(store, key), last=last))


def _some(store: CheckpointStore, found: list[Any]) -> list[Any]:
    if not found:
        raise ValueError(f"{store.uri}: holds no checkpoint of this key that can be read")
    return found
