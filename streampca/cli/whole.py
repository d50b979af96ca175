"""Files that are there whole or not at all: local paths, and URIs that pyarrow knows."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyarrow import fs

__all__ = ["read", "whole", "write"]

_OBJECT_STORES = {"s3", "gcs", "abfs"}
"""Their files appear when they are closed, and they have no rename."""


@contextmanager
def whole(path: str) -> Iterator[Any]:
    """A binary file under another name, which gets its own when all went well."""
    temporary = f"{path}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write(path: str, data: bytes) -> None:
    """Write or replace a file, whole or not at all; its folder is made."""
    if "://" not in path:
        place = Path(path).expanduser()
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole(str(place)) as file:
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
