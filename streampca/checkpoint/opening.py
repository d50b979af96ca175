"""The files of a store at a path or URI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from streampca.checkpoint import paths
from streampca.checkpoint.files import Files, LocalFiles

if TYPE_CHECKING:
    from pyarrow import fs

__all__ = ["files_at", "is_store_folder"]


def files_at(uri: str, filesystem: fs.FileSystem | None) -> Files:
    """On a local disk, or on whatever pyarrow knows by the URI or was set up by the caller."""
    if not uri:  # of a variable that is not set, say: no reason to write where we happen to be
        raise ValueError("Cannot open a store at '': give its folder ('.' is this one) or URI")
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


def is_store_folder(path: str) -> bool:
    """Whether a folder of this machine has checkpoints, as far as names of files tell."""
    root = Path(path)
    return root.is_dir() and any(_has_checkpoints(each) for each in root.iterdir())


def _has_checkpoints(folder: Path) -> bool:
    is_day = paths.is_day(folder.name)
    if not folder.is_dir() or not (is_day or paths.is_key_folder(folder.name)):
        return False
    names = (file.name for file in folder.iterdir())
    if is_day:
        return any(paths.parse_bundle_name(name) for name in names)
    return any(paths.parse_file_name(folder.name, name) for name in names)
