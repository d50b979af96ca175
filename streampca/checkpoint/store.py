"""CheckpointStore: checkpoints as Parquet files under one folder, found by key and time."""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from streampca.checkpoint import columns, paths
from streampca.checkpoint.fields import Key
from streampca.checkpoint.fields import key as check_key
from streampca.checkpoint.files import Files, LocalFiles, Unusable
from streampca.checkpoint.parquet import from_parquet, look
from streampca.checkpoint.paths import FileName
from streampca.checkpoint.record import Checkpoint
from streampca.checkpoint.shown import StoreInNotebook
from streampca.wire import WireError

if TYPE_CHECKING:
    from pyarrow import fs

__all__ = ["CheckpointStore", "CheckpointWarning", "relative_path"]


class CheckpointWarning(UserWarning):
    """A file in a store is torn, changed or foreign, and was skipped; the message names it."""


def relative_path(checkpoint: Checkpoint) -> str:
    """Where in a store the checkpoint's file lies, with "/", for writing it through other systems.

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


class CheckpointStore(StoreInNotebook):
    """Checkpoints as files, written atomically and found by key and time.

    Parameters
    ----------
    uri : str or os.PathLike
        A local folder, or any URI that `pyarrow.fs` knows, such as ``s3://bucket/folder``. It is
        made by the first `write`.
    filesystem : pyarrow.fs.FileSystem, optional
        Where `uri` is a path on a file system that was set up by the caller.

    Notes
    -----
    Any number of processes may read and write at the same time. Nothing is kept in memory: each
    question looks at the files of one key, and reads only those that answer it. A file that is
    torn, changed or foreign is named in a `CheckpointWarning` and passed over. Files are written in
    the folder ``.tmp`` and renamed; what a killed writer leaves there is removed by the next write
    of anybody a minute later (a day, where the file system has no locks).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> store = CheckpointStore(tempfile.mkdtemp())
    >>> pca, rows = StreamingPCA(2), np.random.default_rng(0).normal(size=(3, 100, 5))
    >>> for minute, minute_rows in enumerate(rows):
    ...     end = 60_000_000 * (minute + 1)
    ...     path = store.write(pca.partial_fit(minute_rows).checkpoint(window_end=end))
    >>> store.latest().n_samples_seen
    300
    >>> store.at(130_000_000).n_samples_seen
    200
    >>> [checkpoint.n_samples_seen for checkpoint in store.history()]
    [100, 200, 300]
    """

    def __init__(
        self, uri: str | os.PathLike[str], *, filesystem: fs.FileSystem | None = None
    ) -> None:
        self.uri = os.fspath(uri)
        self._files = _files(self.uri, filesystem)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"

    def write(self, checkpoint: Checkpoint) -> str:
        """Write a checkpoint so that it is there whole and for good, or not at all.

        Writing it again writes the same file.

        Parameters
        ----------
        checkpoint : Checkpoint
            What an estimator's `checkpoint` returned.

        Returns
        -------
        str
            The path of the file.

        Raises
        ------
        OSError
            If it could not be written, a full disk included; the store is as it was.
        """
        relative = relative_path(checkpoint)
        self._files.write(relative, checkpoint.to_parquet_bytes())
        return self._files.path(relative)

    def latest(self, key: Key = None, *, moments: bool = True) -> Checkpoint | None:
        """The newest checkpoint of a key by window end, then sequence; None if there is none.

        `moments` False leaves out, and does not read, what is only for going on.
        """
        return next(self._newest_first(key, None, moments), None)

    def read(
        self, key: Key, window_end: int | None, sequence: int, *, moments: bool = True
    ) -> Checkpoint | None:
        """The checkpoint that was written with these; None if there is none to be read."""
        name = paths.file_name(check_key(key), window_end, sequence)
        return self._read(f"{paths.key_folder(key)}/{name}", moments)

    def resume_point(self, key: Key = None, *, moments: bool = True) -> Checkpoint | None:
        """The checkpoint of a key to go on from; None if there is none.

        That is the latest, unless late rows made one of an earlier window after it: written last,
        only that one has learned them.
        """
        newest = self.latest(key, moments=moments)
        if newest is None:
            return None
        names = self._names(folder := paths.key_folder(check_key(key)))
        last = max(names, key=lambda name: name.sequence)
        if last.sequence > newest.sequence:
            late = self._read(f"{folder}/{last.text}", moments)
            # A model that began anew also counts from 0, and has seen fewer rows.
            if late is not None and late.late and late.n_samples_seen >= newest.n_samples_seen:
                return late
        return newest

    def at(
        self, time: int | datetime.datetime, key: Key = None, *, moments: bool = True
    ) -> Checkpoint | None:
        """What was known at a time: the newest checkpoint whose window had ended by then.

        Parameters
        ----------
        time : int or datetime
            Microseconds since 1970 in UTC, or a datetime with a time zone.
        key : str, int or None
            Which model.
        moments : bool, default=True
            False leaves out, and does not read, what is only for going on.
        """
        return next(self._newest_first(key, _microseconds(time), moments), None)

    def history(self, key: Key = None, *, moments: bool = True) -> list[Checkpoint]:
        """All checkpoints of a key, oldest first.

        `moments` False leaves out, and does not read, what is only for going on: much less to
        hold, where moments are dense.
        """
        return list(self._newest_first(key, None, moments))[::-1]

    def written(self, key: Key = None) -> list[tuple[int | None, int]]:
        """Window end and sequence of each checkpoint of a key, oldest first, for `read`.

        From the names of files alone: cheap enough to ask again and again what is new.
        """
        names = self._names(paths.key_folder(check_key(key)))
        names.sort(key=lambda name: name.order)
        return [(name.window_end, name.sequence) for name in names]

    def keys(self) -> list[Key]:
        """The keys that have files: None first, then numbers, then texts, each in order."""
        found: set[Key] = set()
        for name, is_folder in self._files.entries():
            if is_folder:
                found |= self._keys_of(name)
            elif name.endswith(".parquet") and not name.startswith("."):
                self._skip(name, "it does not lie in the folder of a key")
        return sorted(
            found,
            key=lambda key: (key is not None, isinstance(key, str), 0 if key is None else key),
        )

    # --- inside ---------------------------------------------------------------------------------

    def _newest_first(self, key: Key, until: int | None, moments: bool) -> Iterator[Checkpoint]:
        folder = paths.key_folder(check_key(key))
        names = self._names(folder)
        if until is not None:
            names = [n for n in names if n.window_end is not None and n.window_end <= until]
        for name in sorted(names, key=lambda name: name.order, reverse=True):
            checkpoint = self._read(f"{folder}/{name.text}", moments)
            if checkpoint is not None:
                yield checkpoint

    def _names(self, folder: str) -> list[FileName]:
        """The checkpoint files of a key's folder, by what their names say; unordered."""
        try:
            entries = self._files.entries(folder)
        except Unusable as error:
            self._skip(folder, str(error))
            return []
        names = []
        for name, _ in entries:
            parsed = paths.parse_file_name(folder, name)
            if parsed is not None:
                names.append(parsed)
            elif not name.startswith((".", "_")):
                self._skip(f"{folder}/{name}", "its name is not that of a checkpoint of this key")
        return names

    def _keys_of(self, folder: str) -> set[Key]:
        """The key whose folder this is, if it has any file; a long key is read from its newest."""
        try:
            known = paths.folder_key(folder)
        except ValueError as error:
            self._skip(folder, str(error))
            return set()
        if known is None:
            return set()
        names = self._names(folder)
        key, is_whole = known
        if is_whole:
            return {key} if names else set()
        for name in sorted(names, key=lambda name: name.order, reverse=True):
            checkpoint = self._read(f"{folder}/{name.text}", moments=False)
            if checkpoint is not None:
                return {checkpoint.key}
        return set()

    def _read(self, relative: str, moments: bool) -> Checkpoint | None:
        """The checkpoint in a file; None, with a warning that names the file, if it has none."""
        try:
            data = self._files.read(relative, look)
            with columns.as_checkpoint_error("file"):
                checkpoint = Checkpoint(**from_parquet(data, moments=moments))
                if relative_path(checkpoint) != relative:
                    raise WireError(f"it holds {checkpoint!r}, which its name does not say")
        except FileNotFoundError:  # deleted since it was listed
            return None
        except (Unusable, WireError) as error:
            self._skip(relative, str(error))
            return None
        return checkpoint

    def _skip(self, relative: str, reason: str) -> None:
        message = f"Skipped {self._files.path(relative)!r}: {reason}."
        warnings.warn(message, CheckpointWarning, stacklevel=4)


def _files(uri: str, filesystem: fs.FileSystem | None) -> Files:
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


def _microseconds(time: int | datetime.datetime) -> int:
    if isinstance(time, datetime.datetime):
        if time.tzinfo is None:
            raise ValueError(f"time {time} has no time zone: give one, such as datetime.UTC")
        since = time - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        return since // datetime.timedelta(microseconds=1)
    if isinstance(time, bool) or not isinstance(time, int):
        raise ValueError(f"time must be microseconds as an int, or a datetime, not {time!r}")
    return time
