"""Files of a store on a local disk and on any other file system that pyarrow knows.

Both have the same four verbs. A file appears whole or not at all; what is opened for reading is a
regular file of bearable size. This room does not know what is in the files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import NamedTuple, Protocol

from pyarrow import fs

__all__ = ["Entry", "Files", "LocalFiles", "RemoteFiles", "Unusable"]

MAX_FILE_BYTES = 2**32  # dense moments of 16,384 features are half of this

# Their files appear when the stream is closed, and they have no rename.
_OBJECT_STORES = {"s3", "gcs", "abfs"}


class Unusable(ValueError):
    """Something in the place of a checkpoint's file that is no file to be read."""


class Entry(NamedTuple):
    """One name in a folder."""

    name: str
    is_folder: bool


class Files(Protocol):
    """Folders one deep, files in them; paths are relative, with "/"."""

    def path(self, relative: str) -> str:
        """For messages: where this lies."""

    def entries(self, folder: str = "") -> list[Entry]:
        """What is in a folder; nothing if it does not exist."""

    def read(self, relative: str) -> bytes:
        """All of a file."""

    def write(self, relative: str, data: bytes) -> None:
        """Write a file so that it is there whole and for good, or not at all."""


class LocalFiles:
    """A folder of this machine's file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, relative: str) -> str:
        """For messages: where this lies."""
        return str(self.root / relative)

    def entries(self, folder: str = "") -> list[Entry]:
        """What is in a folder; a link is never taken for the folder that it points to."""
        place = self.root / folder
        if folder and place.is_symlink():
            raise Unusable("it is a symbolic link")
        try:
            with os.scandir(place) as found:
                return [Entry(e.name, e.is_dir(follow_symlinks=False)) for e in found]
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise Unusable("it is not a folder") from error

    def read(self, relative: str) -> bytes:
        """All of a regular file; NONBLOCK so that a named pipe cannot hold us up."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            number = os.open(self.root / relative, flags | getattr(os, "O_BINARY", 0))
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Unusable("it is a symbolic link") from error
            raise
        try:
            state = os.fstat(number)
            if not stat.S_ISREG(state.st_mode):
                raise Unusable("it is not a regular file")
            _check_size(state.st_size)
            with open(number, "rb", closefd=False) as file:
                return file.read(state.st_size)
        finally:
            os.close(number)

    def write(self, relative: str, data: bytes) -> None:
        """Temporary name, fsync, rename, fsync of the folder: it survives a crash right after."""
        place = self.root / relative
        if not place.parent.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(self.root)
        # Begins with a dot: readers pass over what a killed writer leaves behind.
        temporary = place.with_name(f".{place.name}.{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(place.parent)


class RemoteFiles:
    """A folder of any `pyarrow.fs` file system."""

    def __init__(self, filesystem: fs.FileSystem, root: str) -> None:
        self.filesystem = filesystem
        self.root = root.rstrip("/")

    def path(self, relative: str) -> str:
        """For messages: where this lies."""
        return f"{self.filesystem.type_name}:{self._at(relative)}"

    def entries(self, folder: str = "") -> list[Entry]:
        """What is in a folder; nothing if it does not exist."""
        selector = fs.FileSelector(self._at(folder), allow_not_found=True)
        found = self.filesystem.get_file_info(selector)
        return [Entry(info.base_name, info.type == fs.FileType.Directory) for info in found]

    def read(self, relative: str) -> bytes:
        """All of a file."""
        with self.filesystem.open_input_file(self._at(relative)) as file:
            _check_size(file.size())
            return bytes(file.read())

    def write(self, relative: str, data: bytes) -> None:
        """One upload on object stores, a temporary name and a rename elsewhere."""
        place = self._at(relative)
        base = self.filesystem
        while isinstance(base, fs.SubTreeFileSystem):
            base = base.base_fs
        if base.type_name in _OBJECT_STORES:
            self._upload(place, data)
            return
        folder, name = place.rsplit("/", 1)
        self.filesystem.create_dir(folder, recursive=True)
        temporary = f"{folder}/.{name}.{secrets.token_hex(8)}.tmp"
        try:
            self._upload(temporary, data)
            self.filesystem.move(temporary, place)
        except BaseException:
            with contextlib.suppress(OSError):
                self.filesystem.delete_file(temporary)
            raise

    def _upload(self, place: str, data: bytes) -> None:
        with self.filesystem.open_output_stream(place, compression=None) as stream:
            stream.write(data)

    def _at(self, relative: str) -> str:
        return f"{self.root}/{relative}" if relative else self.root


def _check_size(size: int) -> None:
    if size == 0:
        raise Unusable("it is empty")
    if size > MAX_FILE_BYTES:
        raise Unusable(f"its {size} bytes are more than the {MAX_FILE_BYTES} that are read")


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder last; Windows, where no folder can be opened, does so itself."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
