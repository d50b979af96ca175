"""The files of a store at a path or URI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from streampca.checkpoint.files import Files, LocalFiles

if TYPE_CHECKING:
    from pyarrow import fs

__all__ = ["files_at"]


def files_at(uri: str, filesystem: fs.FileSystem | None) -> Files:
    """On a local disk, or on whatever pyarrow knows by the URI or was set up by the caller."""
    if filesystem is not None or "://" in uri:
        from pyarrow import fs

        from streampca.checkpoint.remote import RemoteFiles

        try:
            if filesystem is None:
                filesystem, uri = fs.FileSystem.from_uri(uri)
        except (pa.ArrowException, ValueError) as error:
            raise ValueError(f"Cannot open a store at {uri!r}: {error}") from error
        if not isinstance(filesystem, fs.LocalFileSystem):
            return RemoteFiles(filesystem, uri)
    root = Path(uri).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(f"Cannot open a store at {uri!r}: it is a file, not a folder")
    return LocalFiles(root)
