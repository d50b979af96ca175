"""Checkpoints read from the places where they lie, and files of them written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from streampca.checkpoint import columns, paths
from streampca.checkpoint.bundle import (
    InMemory,
    Rows,
    check_pages,
    is_bundle,
    of_one_kind,
    read_index,
    to_bundle,
)
from streampca.checkpoint.bundle_index import Index, Name, key_order
from streampca.checkpoint.catalogue import Keys
from streampca.checkpoint.fields import Key
from streampca.checkpoint.files import Stamp, Unusable, content
from streampca.checkpoint.parquet import from_parquet, look, read_light
from streampca.checkpoint.places import Place, Places, counting
from streampca.checkpoint.record import Checkpoint
from streampca.wire import WireError

__all__ = [
    "Bundled",
    "all_in",
    "bundled",
    "keys",
    "read",
    "read_each",
    "relative_path",
    "rows_that_count",
    "singles",
    "write",
]


# --- reading ------------------------------------------------------------------------------------


def read(places: Places, which: Iterable[Place], *, moments: bool) -> Iterator[Checkpoint]:
    """The checkpoints in places; those that cannot be read are told of, and left out."""
    for _, checkpoint in read_each(places, which, moments=moments):
        if checkpoint is not None:
            yield checkpoint


def read_each(
    places: Places, which: Iterable[Place], *, moments: bool
) -> Iterator[tuple[Place, Checkpoint | None]]:
    """Places, and the checkpoint in each; None where it cannot be read, which is told."""
    with ExitStack() as stack:
        reader = _Reader(places, moments, stack)
        for place in which:
            yield place, reader.checkpoint(place)


class _Reader:
    """Keeps the file open from which it has read last."""

    def __init__(self, places: Places, moments: bool, stack: ExitStack) -> None:
        self._places, self._moments, self._stack = places, moments, stack
        self._opened: tuple[str, Rows | None] = ("", None)
        self._moved: dict[tuple[Key, type, str], dict[Name, Place]] = {}

    def checkpoint(self, place: Place) -> Checkpoint | None:
        """What is in a place; if its file is gone, what is where it has gone to."""
        while True:
            try:
                return self._single(place) if place.row is None else self._row(place, place.row)
            except FileNotFoundError:
                now = self._now(place)
                if now is None or now == place:
                    return None
                place = now

    def _now(self, gone: Place) -> Place | None:
        at = (gone.key, type(gone.key), gone.day)
        found = self._moved.get(at, {}).get(gone.name)
        if found is None or found == gone:
            self._moved[at] = self._places.of_day(gone.key, gone.day)
            found = self._moved[at].get(gone.name)
        return found

    def _single(self, place: Place) -> Checkpoint | None:
        try:
            with columns.as_checkpoint_error("file"):
                checkpoint = Checkpoint(**self._fields(place.relative))
                if relative_path(checkpoint) != place.relative:
                    raise WireError(f"it holds {checkpoint!r}, which its name does not say")
        except (Unusable, WireError) as error:
            self._places.skip(place.relative, str(error))
            return None
        return checkpoint

    def _fields(self, relative: str) -> dict[str, Any]:
        with self._places.files.opened(relative) as file:
            light = None if self._moments else read_light(file)
            if light is not None:
                return light
            data = content(file, look)
        return from_parquet(data, moments=self._moments)

    def _row(self, place: Place, row: int) -> Checkpoint | None:
        if self._opened[0] != place.relative:
            self._stack.close()
            self._opened = ("", None)
            self._opened = (place.relative, self._rows(place.relative))
        rows = self._opened[1]
        if rows is None:
            return None
        try:
            with columns.as_checkpoint_error("file"):
                checkpoint = Checkpoint(**rows.read(row))
                if (key_order(checkpoint.key), checkpoint.window_end, checkpoint.sequence) != (
                    key_order(place.key),
                    *place.name,
                ):
                    raise WireError(f"it holds {checkpoint!r}, which its index does not say")
        except WireError as error:
            self._places.skip(place.relative, f"row {row}: {error}")
            return None
        return checkpoint

    def _rows(self, relative: str) -> Rows | None:
        try:
            with columns.as_checkpoint_error("file"):
                file = self._stack.enter_context(self._places.files.opened(relative))
                index = self._places.index_of(relative) or read_index(file)
                return Rows(file, index, self._moments)
        except (Unusable, WireError) as error:
            self._places.skip(relative, str(error))
            return None


def keys(places: Places) -> list[Key]:
    """The keys that have checkpoints, in order; one that its folder's name cuts is read."""
    found: set[Key] = set()
    for entry in places.files.entries():
        if entry.is_folder:
            found |= {key for key, _ in _of_folder(places, entry.name)}
        elif entry.name.endswith(".parquet") and not entry.name.startswith("."):
            places.skip(entry.name, "it does not lie in the folder of a key")
    of_many = Keys()
    places.indexes(of_many)
    found |= of_many.found
    return sorted(found, key=lambda k: (k is not None, isinstance(k, str), 0 if k is None else k))


def _of_folder(places: Places, folder: str) -> list[tuple[Key, list[Place]]]:
    """The key of a folder with its files, if there are any."""
    known = places.known_key(folder)
    if known is None:
        return []
    key, is_complete = known
    there = list(places.singles(key, folder))
    if is_complete:
        return [(key, there)] if there else []
    for place in sorted(there, key=lambda place: place.name.order, reverse=True):
        for checkpoint in read(places, [place], moments=False):
            return [(checkpoint.key, [each._replace(key=checkpoint.key) for each in there])]
    return []


def singles(places: Places) -> list[Place]:
    """All checkpoints in files of their own."""
    folders = places.files.folders()
    return [p for folder in folders for _, there in _of_folder(places, folder) for p in there]


def rows_that_count(places: Places) -> dict[str, list[int]]:
    """Of each file of many the rows that no other file has replaced."""
    indexes = places.indexes()
    found: dict[str, list[int]] = {relative: [] for relative in indexes}
    for place in counting(indexes, singles(places))[0].values():
        if place.row is not None:
            found[place.relative].append(place.row)
    return found


def all_in(
    data: bytes, *, moments: bool = True, which: Iterable[int] | None = None
) -> Iterator[Checkpoint]:
    """Read the content of any file of a store: one checkpoint, or many (`which` of its rows).

    Raises
    ------
    CheckpointError
        If it is torn, changed, foreign, or written by a newer streampca.
    """
    if not is_bundle(data):
        yield Checkpoint.from_parquet_bytes(data, moments=moments)
        return
    with columns.as_checkpoint_error("Parquet file"):
        file = InMemory(data)
        index = read_index(file)
        check_pages(file, index)
        rows = Rows(file, index, moments)
        for row in range(len(index)) if which is None else which:
            yield Checkpoint(**rows.read(row))


# --- writing ------------------------------------------------------------------------------------


class Bundled(NamedTuple):
    """A file of many checkpoints."""

    relative: str
    """Where it is to lie in a store, with "/"."""
    data: bytes
    contents: Index
    """Which checkpoints it has."""
    replaces: list[str]
    """Older files with the same checkpoints, which may go once it is there."""


def bundled(
    checkpoints: Iterable[Checkpoint], there: Callable[[str], Iterable[str]]
) -> Iterator[Bundled]:
    """Checkpoints as few files, each newer than all that `there` says are in its folder.

    Of two with the same key, window end and sequence the last one counts.
    """
    last = {(c.key, type(c.key), c.window_end, c.sequence): c for c in checkpoints}
    for some in of_one_kind((checkpoint, 0) for checkpoint in last.values()):
        folder = paths.day_folder(some[0][0].window_end)
        names = list(there(folder))
        order = paths.next_order(names, time.time_ns())
        index, data = to_bundle([(checkpoint, order) for checkpoint, _ in some])
        parsed = [(name, paths.parse_bundle_name(name)) for name in names]
        older = [name for name, each in parsed if each is not None and each.digest == index.digest]
        name = paths.bundle_name(order, index.digest)
        yield Bundled(f"{folder}/{name}", data, index, [f"{folder}/{each}" for each in older])


def write(places: Places, checkpoints: Iterable[Checkpoint]) -> list[str]:
    """Write checkpoints into as few files as can be; their relative paths."""
    checkpoints = list(checkpoints)
    for each in checkpoints:
        check_kind(each)
    # before anything is written: what a writer puts in its place from now on is newer than ours
    alone = _alone(places, checkpoints)
    made = []

    def there(day: str) -> list[str]:
        return places.listing.names_of_days([day])[day]

    for relative, data, index, older in bundled(checkpoints, there):
        places.files.write(relative, data)
        places.catalogue.add(relative, index)
        places.listing.retire(older, {})
        made.append(relative)
    places.listing.retire([], alone)
    return made


def _alone(places: Places, checkpoints: list[Checkpoint]) -> dict[str, Stamp | None]:
    """The files of one checkpoint that has one of these names."""
    folders = set(places.files.folders()) if checkpoints else set()
    names: dict[str, set[str]] = {}
    found: dict[str, Stamp | None] = {}
    for checkpoint in checkpoints:
        folder, _, name = relative_path(checkpoint).partition("/")
        if folder in folders:
            if folder not in names:
                names[folder] = set(places.listing.names(folder))
            if name in names[folder]:
                found[f"{folder}/{name}"] = places.files.stamp(f"{folder}/{name}")
    return found


def check_kind(checkpoint: Any) -> None:
    """TypeError unless it is a checkpoint, with what to give instead."""
    if not isinstance(checkpoint, Checkpoint):
        hint = ": give its .checkpoint()" if hasattr(checkpoint, "checkpoint") else ""
        kind = type(checkpoint).__name__
        raise TypeError(f"a store holds checkpoints, not an object of type {kind}{hint}")


def relative_path(checkpoint: Checkpoint) -> str:
    """Where in a store a checkpoint's own file lies, with "/", for writing it in other ways.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> pca = StreamingPCA(1).partial_fit(np.eye(3))
    >>> relative_path(pca.checkpoint(key="press 4", window_end=60_000_000))
    's-press_204-f39f907668ef7ded/w0000000000060000000-s0000000000-kf39f907668ef7ded.parquet'
    """
    check_kind(checkpoint)
    folder = paths.key_folder(checkpoint.key)
    name = paths.file_name(checkpoint.key, checkpoint.window_end, checkpoint.sequence)
    return f"{folder}/{name}"
