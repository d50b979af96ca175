"""Files of a store on a local disk; remote.py has those of every other file system.

Both have the same verbs. A file appears complete or not at all; what is opened for reading is a
regular file of bearable size. This room does not know what is in the files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from streampca.checkpoint.temporary import hold, lock, sweep, temporary

__all__ = ["Entry", "Files", "LocalFiles", "Opened", "Unusable", "content"]

MAX_FILE_BYTES = 2**32  # dense moments of 16,384 features are half of this

# Of files that are being written. Not a key's folder, so that readers pass it over.
TEMPORARY = ".tmp"
_TRIES = 10


class Unusable(ValueError):
    """Something in the place of a checkpoint's file that is no file to be read."""


class Entry(NamedTuple):
    """One name in a folder."""

    name: str
    is_folder: bool


ReadAt = Callable[[int, int], bytes]
"""So many bytes of a file from an offset on."""

Stamp = tuple[int, ...]
"""By what a file is known to be the same later; the first is its size."""

Look = Callable[[ReadAt, int], None]
"""Raises if a file of this size cannot be a checkpoint, by the few bytes that it reads."""

LOOK = 2**24  # larger files are checked before all of them is read


class Opened(Protocol):
    """A file that is open for reading."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def file(self) -> Any:
        """As pyarrow takes it."""

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset on."""


class OpenedLocally(NamedTuple):
    """A regular file of this machine."""

    file: BinaryIO
    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset on."""
        self.file.seek(offset)
        return self.file.read(size)


class Files(Protocol):
    """Folders one deep, files in them; paths are relative, with "/"."""

    def path(self, relative: str) -> str:
        """For messages: where this lies."""

    def entries(self, folder: str = "") -> list[Entry]:
        """What is in a folder; nothing if it does not exist."""

    def folders(self, prefix: str = "") -> list[str]:
        """The folders of a store whose names begin so."""

    def opened(self, relative: str) -> AbstractContextManager[Opened]:
        """A file, to be read in parts."""

    def stamp(self, relative: str) -> Stamp | None:
        """By what a file is known to be the same later; None if there is none."""

    def remove(self, relative: str, stamp: Stamp | None = None) -> None:
        """Remove a file, if it is there; with `stamp` unless it has been replaced since."""

    def remove_folder(self, folder: str) -> None:
        """Remove a folder if there is nothing in it."""

    def alone(self) -> AbstractContextManager[None]:
        """For keeping the store in order: nobody else does so meanwhile, as far as can be told."""

    def read(self, relative: str, look: Look) -> bytes:
        """All of a file, once a large one has passed `look`."""

    def write(self, relative: str, data: bytes) -> None:
        """Write a file so that all of it is there for good, or nothing."""

    appends: bool
    """Whether files can be added to, which object stores do not know."""

    def append(self, relative: str, data: bytes) -> None:
        """Add to the end of a file, which may be cut off where a writer is killed."""


class LocalFiles:
    """A folder of this machine's file system."""

    appends = True

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

    def folders(self, prefix: str = "") -> list[str]:
        """The folders of a store whose names begin so."""
        return [
            each.name for each in self.entries() if each.is_folder and each.name.startswith(prefix)
        ]

    @contextmanager
    def opened(self, relative: str) -> Iterator[OpenedLocally]:
        """A regular file; NONBLOCK so that a named pipe cannot hold us up."""
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
            check_size(state.st_size)
            with open(number, "rb", closefd=False) as file:
                yield OpenedLocally(file, state.st_size)
        finally:
            os.close(number)

    def read(self, relative: str, look: Look) -> bytes:
        """All of a regular file."""
        with self.opened(relative) as file:
            return content(file, look)

    def stamp(self, relative: str) -> Stamp | None:
        """Which file it is: one that replaces it is another."""
        try:
            state = os.stat(self.root / relative, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return state.st_size, state.st_dev, state.st_ino, state.st_mtime_ns

    def remove(self, relative: str, stamp: Stamp | None = None) -> None:
        """Remove a file; with `stamp` unless it has been replaced: no writer does so meanwhile."""
        # Windows removes no file that somebody reads: then it stays, and says nothing new
        allowed = (FileNotFoundError, *([PermissionError] if os.name == "nt" else []))
        with contextlib.suppress(*allowed):
            if stamp is None:
                (self.root / relative).unlink()
                return
            with hold(self.root, alone=True):
                if self.stamp(relative) == stamp:
                    (self.root / relative).unlink()

    def remove_folder(self, folder: str) -> None:
        """Remove a folder if there is nothing in it; who is about to write there makes it anew."""
        with contextlib.suppress(OSError):
            (self.root / folder).rmdir()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Refuse where another process keeps this store in order."""
        if not self.root.is_dir():
            yield
            return
        place = self.root / TEMPORARY / "order"
        place.parent.mkdir(exist_ok=True)
        with open(place, "ab") as file:
            if not lock(file.fileno()):
                raise BlockingIOError(
                    errno.EAGAIN, "another process compacts or prunes this store", str(self.root)
                )
            yield

    def write(self, relative: str, data: bytes) -> None:
        """Temporary name, fsync, rename, fsync of the folder: it survives a crash right after."""
        place = self.root / relative
        waiting = self.root / TEMPORARY
        for last in (*[False] * (_TRIES - 1), True):
            if not place.parent.is_dir():
                place.parent.mkdir(parents=True, exist_ok=True)
                _sync_folder(self.root)
            with temporary(waiting, place.name) as (file, at):
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                now = os.fstat(file.fileno()).st_mtime
                try:
                    with hold(self.root):
                        os.replace(at, place)
                except FileNotFoundError:  # another host's writer took it for a dead one's
                    if last:
                        raise
                    continue
            break
        _sync_folder(place.parent)
        sweep(waiting, now)

    def append(self, relative: str, data: bytes) -> None:
        """In one call, which local file systems do not mix with that of another process."""
        place = self.root / relative
        place.parent.mkdir(exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        number = os.open(place, flags | getattr(os, "O_BINARY", 0), 0o666)
        try:
            os.write(number, data)
        finally:
            os.close(number)


def content(file: Opened, look: Look) -> bytes:
    """All of a file that is open, once a large one has passed `look`."""
    if file.size > LOOK:
        look(file.read_at, file.size)
    return file.read_at(0, file.size)


def check_size(size: int) -> None:
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
