"""Temporary files on a local disk, and who sweeps away those of writers that were killed.

A writer holds a lock on its file, which ends with the process, however that ends. A file that
nobody holds and nobody has touched for a minute is nobody's. On file systems that know no locks a
day has to pass. If a file is swept all the same, because two hosts do not see each other's locks,
then its writer finds no file to rename, and writes again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["SUFFIX", "UNTOUCHED_DAY", "hold", "lock", "sweep", "temporary"]

SUFFIX = ".tmp"
UNTOUCHED_MINUTE = 60.0  # also of a file that was made, and is about to be locked
UNTOUCHED_DAY = 24 * 3600.0


@contextlib.contextmanager
def temporary(folder: Path, name: str) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file in a folder, held while it is open; gone afterwards unless it was renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f".{name}.{secrets.token_hex(8)}{SUFFIX}"
    with open(place, "xb") as file:
        try:
            _hold(file.fileno())
            yield file, place
        finally:
            place.unlink(missing_ok=True)


@contextlib.contextmanager
def hold(root: Path, *, alone: bool = False) -> Iterator[None]:
    """While files of a store are put into place, by any number of writers, or removed, by one.

    The lock is of the folder itself and ends with the process. Where there are none nothing waits.
    """
    if fcntl is None:
        yield
        return
    number = os.open(root, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(number)


def lock(number: int) -> bool:
    """Lock an open file until it is closed; False if another process has. No locks: nobody has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def sweep(folder: Path, now: float) -> None:
    """Remove what killed writers have left in a folder of temporary files.

    Parameters
    ----------
    folder : Path
        Where `temporary` makes its files.
    now : float
        The time by the clock of the file system, which need not be that of this machine.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            # Another's file that may not be removed is for its owner to remove.
            with contextlib.suppress(OSError):
                if entry.name.endswith(SUFFIX):
                    _sweep(entry.path, now)


def _sweep(path: str, now: float) -> None:
    state = os.stat(path, follow_symlinks=False)
    age = now - state.st_mtime
    if age < UNTOUCHED_MINUTE or not stat.S_ISREG(state.st_mode):
        return
    if fcntl is None:
        if age > UNTOUCHED_DAY:
            os.unlink(path)
        return
    number = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # its writer is alive
        pass
    except OSError:  # there are no locks here
        if age > UNTOUCHED_DAY:
            os.unlink(path)
    else:
        os.unlink(path)
    finally:
        os.close(number)


def _hold(number: int) -> None:
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(number, fcntl.LOCK_EX)
