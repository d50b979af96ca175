"""Where the checkpoints of a store lie: in files of their own, or many in one.

A checkpoint is known by key, window end and sequence. Where two files have it, that of its own
counts, and of files of many the one that was written last: so what is written again replaces what
was there, and nothing is there twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from streampca.checkpoint import columns, paths
from streampca.checkpoint.bundle import Rows, of_one_kind, read_index, to_bundle
from streampca.checkpoint.bundle_index import Index, Name
from streampca.checkpoint.fields import Key
from streampca.checkpoint.files import Files, Unusable
from streampca.checkpoint.parquet import from_parquet, look
from streampca.checkpoint.record import Checkpoint
from streampca.wire import WireError

__all__ = ["Place", "Places", "bundled", "relative_path"]


class Place(NamedTuple):
    """One checkpoint of a key: its name, the file that it is in, and in which row of many."""

    name: Name
    relative: str
    row: int | None


class Places:
    """Files of a store as places of checkpoints.

    Parameters
    ----------
    files : Files
    skip : callable
        Told which file cannot be used, and why.
    """

    def __init__(self, files: Files, skip: Callable[[str, str], None]) -> None:
        self.files, self._skip = files, skip
        self._lock = threading.Lock()
        self._indexes: dict[str, Index] = {}  # of files, which their names describe for good

    def __getstate__(self) -> dict[str, object]:
        return {"files": self.files, "_skip": self._skip}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _indexes={})

    # --- which there are ------------------------------------------------------------------------

    def bundles(self) -> dict[str, Index]:
        """The files of many checkpoints that there are now, each with its index."""
        there = [
            f"{folder}/{name}"
            for folder, is_folder in self.files.entries()
            if is_folder and paths.is_day(folder)
            for name in self._bundles_in(folder)
        ]
        with self._lock:
            known = self._indexes
        found = {relative: known.get(relative) or self._index(relative) for relative in there}
        usable = {relative: index for relative, index in found.items() if index is not None}
        with self._lock:
            self._indexes = usable
        return usable

    def _bundles_in(self, folder: str) -> Iterator[str]:
        for name, _ in self._entries(folder):
            if paths.bundle_digest(name) is not None:
                yield name
            elif not name.startswith((".", "_")):
                self._skip(f"{folder}/{name}", "its name is not that of a file of checkpoints")

    def _index(self, relative: str) -> Index | None:
        try:
            with self.files.opened(relative) as file, columns.as_checkpoint_error("file"):
                index = read_index(file)
                if not relative.endswith(f"/b-{index.digest}.parquet"):
                    raise WireError("it has other checkpoints than its name says")
        except FileNotFoundError:  # deleted since it was listed
            return None
        except (Unusable, WireError) as error:
            self._skip(relative, str(error))
            return None
        return index

    def of_key(self, key: Key, bundles: dict[str, Index] | None = None) -> dict[Name, Place]:
        """All checkpoints of a key, unordered."""
        found: dict[Name, Place] = {}
        indexes = self.bundles() if bundles is None else bundles
        for relative, index in sorted(indexes.items(), key=lambda each: each[1].written):
            for row in index.rows_of(key):
                name = index.name(row)
                found[name] = Place(name, relative, row)
        for place in self.singles(paths.key_folder(key)):
            found[place.name] = place
        return found

    def singles(self, folder: str) -> Iterator[Place]:
        """The checkpoints of a key's folder, in files of their own."""
        for name, _ in self._entries(folder):
            parsed = paths.parse_file_name(folder, name)
            if parsed is not None:
                yield Place(Name(parsed.window_end, parsed.sequence), f"{folder}/{name}", None)
            elif not name.startswith((".", "_")):
                self._skip(f"{folder}/{name}", "its name is not that of a checkpoint of this key")

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        try:
            return [(entry.name, entry.is_folder) for entry in self.files.entries(folder)]
        except Unusable as error:
            self._skip(folder, str(error))
            return []

    def keys(self) -> set[Key]:
        """The keys that have checkpoints."""
        found: set[Key] = set()
        for index in self.bundles().values():
            found.update(index.keys)
        for name, is_folder in self.files.entries():
            if is_folder:
                found |= self._keys_of(name)
            elif name.endswith(".parquet") and not name.startswith("."):
                self._skip(name, "it does not lie in the folder of a key")
        return found

    def _keys_of(self, folder: str) -> set[Key]:
        """The key whose folder this is, if it has any file; a long key is read from its newest."""
        try:
            known = paths.folder_key(folder)
        except ValueError as error:
            self._skip(folder, str(error))
            return set()
        if known is None:
            return set()
        places = list(self.singles(folder))
        key, is_complete = known
        if is_complete:
            return {key} if places else set()
        for place in sorted(places, key=lambda place: place.name.order, reverse=True):
            for checkpoint in self.read([place], moments=False):
                return {checkpoint.key}
        return set()

    # --- reading and writing --------------------------------------------------------------------

    def read(self, places: Iterable[Place], *, moments: bool) -> Iterator[Checkpoint]:
        """The checkpoints in places; those that cannot be read are told of, and left out."""
        relative, rows = "", None
        with ExitStack() as stack:
            for place in places:
                if place.row is None:
                    checkpoint = self._read_single(place, moments)
                else:
                    if place.relative != relative:
                        stack.close()
                        relative, rows = place.relative, self._rows(place, moments, stack)
                    checkpoint = None if rows is None else self._read_row(place, rows)
                if checkpoint is not None:
                    yield checkpoint

    def _read_single(self, place: Place, moments: bool) -> Checkpoint | None:
        try:
            data = self.files.read(place.relative, look)
            with columns.as_checkpoint_error("file"):
                checkpoint = Checkpoint(**from_parquet(data, moments=moments))
                if relative_path(checkpoint) != place.relative:
                    raise WireError(f"it holds {checkpoint!r}, which its name does not say")
        except FileNotFoundError:  # deleted since it was listed
            return None
        except (Unusable, WireError) as error:
            self._skip(place.relative, str(error))
            return None
        return checkpoint

    def _rows(self, place: Place, moments: bool, stack: ExitStack) -> Rows | None:
        try:
            with columns.as_checkpoint_error("file"):
                file = stack.enter_context(self.files.opened(place.relative))
                # anew: written again, its groups may be others
                return Rows(file, read_index(file), moments)
        except FileNotFoundError:
            return None
        except (Unusable, WireError) as error:
            self._skip(place.relative, str(error))
            return None

    def _read_row(self, place: Place, rows: Rows) -> Checkpoint | None:
        assert place.row is not None
        try:
            with columns.as_checkpoint_error("file"):
                checkpoint = Checkpoint(**rows.read(place.row))
                if Name(checkpoint.window_end, checkpoint.sequence) != place.name:
                    raise WireError(f"it holds {checkpoint!r}, which its index does not say")
        except WireError as error:
            self._skip(place.relative, f"row {place.row}: {error}")
            return None
        return checkpoint

    def write(self, checkpoints: Iterable[Checkpoint], written: int | None = None) -> list[str]:
        """Write checkpoints into as few files as can be; their relative paths.

        Of two with the same name the last one counts.
        """
        made = []
        for relative, data in bundled(checkpoints, written):
            self.files.write(relative, data)
            with self._lock:  # another `written`, perhaps
                self._indexes = {k: v for k, v in self._indexes.items() if k != relative}
            made.append(relative)
        return made


def bundled(
    checkpoints: Iterable[Checkpoint], written: int | None = None, salt: str = ""
) -> Iterator[tuple[str, bytes]]:
    """Checkpoints as few files: where each is to lie in a store, with "/", and its content.

    Of two with the same name the last one counts. `written` is a time in nanoseconds, by default
    now: of two files that have the same checkpoint the later one counts. Files with the same
    checkpoints have the same name, unless `salt` differs.
    """
    now = time.time_ns() if written is None else written
    last = {(c.key, type(c.key), c.window_end, c.sequence): c for c in checkpoints}
    for some in of_one_kind(last.values()):
        index, data = to_bundle(some, now, salt)
        yield paths.bundle_name(paths.day_of(some[0].window_end), index.digest), data


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
    folder = paths.key_folder(checkpoint.key)
    name = paths.file_name(checkpoint.key, checkpoint.window_end, checkpoint.sequence)
    return f"{folder}/{name}"
