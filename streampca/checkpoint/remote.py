"""Files of a store on any file system that pyarrow knows, with the verbs of files.py.

Apart from it, because `pyarrow.fs` takes a tenth of the time that importing streampca does.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from pyarrow import fs

from streampca.checkpoint.files import TEMPORARY, Entry, Look, Stamp, check_size, content
from streampca.checkpoint.temporary import SUFFIX, UNTOUCHED_DAY

__all__ = ["RemoteFiles"]

_OBJECT_STORES = {"s3", "gcs", "abfs"}


class _OpenedThere(NamedTuple):
    """A file that is read over a network, or as if it were."""

    file: Any
    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset on."""
        return bytes(self.file.read_at(size, offset))


class RemoteFiles:
    """A folder of any `pyarrow.fs` file system."""

    appends = False

    def __init__(self, filesystem: fs.FileSystem, root: str) -> None:
        self.filesystem = filesystem
        self.root = root.rstrip("/")
        self._handler: Any = getattr(filesystem, "handler", None)  # of one written in Python

    def path(self, relative: str) -> str:
        """For messages: where this lies."""
        place = self._at(relative)
        return place if "://" in place else f"{self.filesystem.type_name}:{place}"

    def entries(self, folder: str = "") -> list[Entry]:
        """What is in a folder; nothing if it does not exist."""
        selector = fs.FileSelector(self._at(folder), allow_not_found=True)
        found = self.filesystem.get_file_info(selector)
        return [Entry(info.base_name, info.type == fs.FileType.Directory) for info in found]

    def folders(self, prefix: str = "") -> list[str]:
        """The folders of a store whose names begin so; listed by that where it can be."""
        if hasattr(self._handler, "folders"):
            found: list[str] = self._handler.folders(self.root, prefix)
            return found
        return [
            each.name for each in self.entries() if each.is_folder and each.name.startswith(prefix)
        ]

    @contextlib.contextmanager
    def opened(self, relative: str) -> Iterator[_OpenedThere]:
        """A file, to be read in parts."""
        with self.filesystem.open_input_file(self._at(relative)) as file:
            check_size(file.size())
            yield _OpenedThere(file, file.size())

    def read(self, relative: str, look: Look) -> bytes:
        """All of a file."""
        with self.opened(relative) as file:
            return content(file, look)

    def stamp(self, relative: str) -> Stamp | None:
        """Size and time of writing, which is all there is to tell."""
        info = self.filesystem.get_file_info(self._at(relative))
        if info.type != fs.FileType.File:
            return None
        return info.size or 0, info.mtime_ns or 0

    def remove(self, relative: str, stamp: Stamp | None = None) -> None:
        """Remove a file; with `stamp` unless it has been replaced, a moment before at least."""
        with contextlib.suppress(FileNotFoundError):
            if stamp is None or self.stamp(relative) == stamp:
                self.filesystem.delete_file(self._at(relative))

    def remove_folder(self, folder: str) -> None:
        """Nothing: object stores have no folders, and others no removal that spares what is in."""

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """There are no locks: whoever compacts and prunes takes care to be alone."""
        yield

    def write(self, relative: str, data: bytes) -> None:
        """One upload on object stores, a temporary name and a rename elsewhere."""
        place = self._at(relative)
        if self._appear_complete():
            self._upload(place, data)
            return
        folder, name = place.rsplit("/", 1)
        waiting = self._at(TEMPORARY)
        for each in (folder, waiting):
            self.filesystem.create_dir(each, recursive=True)
        here = f"{waiting}/.{name}.{secrets.token_hex(8)}{SUFFIX}"
        try:
            self._upload(here, data)
            self.filesystem.move(here, place)
        except BaseException:
            with contextlib.suppress(OSError):
                self.filesystem.delete_file(here)
            raise
        self._sweep(waiting)

    def append(self, relative: str, data: bytes) -> None:
        """Object stores have no such thing."""
        raise io.UnsupportedOperation(f"Cannot add to {self.path(relative)!r}.")

    def _appear_complete(self) -> bool:
        """Whether what is written appears when it is closed, in the place of what was there."""
        base = self.filesystem
        while isinstance(base, fs.SubTreeFileSystem):
            base = base.base_fs
        complete = getattr(self._handler, "appear_complete", False)
        return complete or base.type_name in _OBJECT_STORES

    def _sweep(self, waiting: str) -> None:
        """Remove what killed writers have left; nothing tells the living but their age."""
        if self._handler is not None:  # which knows no ages in a listing
            return
        for info in self.filesystem.get_file_info(fs.FileSelector(waiting, allow_not_found=True)):
            written = info.mtime
            if info.type != fs.FileType.File or not info.base_name.endswith(SUFFIX):
                continue
            if written is not None and time.time() - written.timestamp() > UNTOUCHED_DAY:
                with contextlib.suppress(OSError):  # another writer was faster
                    self.filesystem.delete_file(info.path)

    def _upload(self, place: str, data: bytes) -> None:
        with self.filesystem.open_output_stream(place, compression=None) as stream:
            stream.write(data)

    def _at(self, relative: str) -> str:
        return f"{self.root}/{relative}" if relative else self.root
