"""Files that are there complete or not at all: local paths, and URIs that pyarrow knows."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyarrow import fs

_OBJECT_STORES = {"s3", "gcs", "abfs"}
"""Their files appear when they are closed, and they have no rename."""


@contextmanager
def complete(path: str) -> Iterator[Any]:
    """A binary file under another name, which gets its own when all went well.

    A symbolic link stays one: the file that it names is replaced. Pipes and devices are written
    as they are.
    """
    place = os.path.realpath(path)
    if os.path.exists(place) and not stat.S_ISREG(os.stat(place).st_mode):
        with open(place, "wb") as file:
            yield file
        return
    temporary = f"{place}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(place):
            shutil.copymode(place, temporary)
        os.replace(temporary, place)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write(path: str, data: bytes) -> None:
    """Write or replace a file, complete or not at all; its folder is made."""
    if "://" not in path:
        place = Path(path).expanduser()
        place.parent.mkdir(parents=True, exist_ok=True)
        with complete(str(place)) as file:
            file.write(data)
        return
    filesystem, place_ = fs.FileSystem.from_uri(path)
    direct = filesystem.type_name in _OBJECT_STORES
    here = place_ if direct else f"{place_}.{secrets.token_hex(4)}.tmp"
    if not direct:
        filesystem.create_dir(place_.rpartition("/")[0], recursive=True)
    with filesystem.open_output_stream(here, compression=None) as stream:
        stream.write(data)
    if not direct:
        filesystem.move(here, place_)


def read(path: str) -> bytes:
    """All of a file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if "://" not in path:
        return Path(path).expanduser().read_bytes()
    filesystem, place = fs.FileSystem.from_uri(path)
    with filesystem.open_input_file(place) as file:
        return bytes(file.read())


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    if "://" not in path:
        Path(path).expanduser().unlink(missing_ok=True)
        return
    filesystem, place = fs.FileSystem.from_uri(path)
    if filesystem.get_file_info(place).type == fs.FileType.File:
        filesystem.delete_file(place)
