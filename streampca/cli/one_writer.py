"""One `fit` at a time for a store: two would each count only the rows that they read themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from streampca import CheckpointStore

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NAME = ".fit.lock"


@contextmanager
def one_writer(store: CheckpointStore | None) -> Iterator[None]:
    """Keep other fits out of a store on this machine's disks, until this one ends in any way.

    Raises
    ------
    ValueError
        If another one is at work there.
    """
    root = None if store is None else store.places.files.path("")
    if root is None or fcntl is None or "://" in root:
        yield
        return
    made = not os.path.isdir(root)
    os.makedirs(root, exist_ok=True)
    path = os.path.join(root, _NAME)
    file = _locked(path)
    if file is None:
        raise ValueError(
            f"{root}: another streampca fit is writing into it; wait until it has ended, or fit "
            "into another folder"
        )
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(path)  # while it is ours
            if made:
                os.rmdir(root)  # where nothing was written
        os.close(file)


def _locked(path: str) -> int | None:
    """A file that is open, and locked until it is closed; None if another process has it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        except OSError:  # a disk of another machine that knows no locks
            return file
        if _is(path, file):
            return file
        os.close(file)  # who had it has removed it meanwhile


def _is(path: str, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
