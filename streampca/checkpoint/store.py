"""CheckpointStore: checkpoints as Parquet files under one folder, read by key and time."""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from streampca.checkpoint.bundle_index import Name
from streampca.checkpoint.columns import CheckpointWarning
from streampca.checkpoint.fields import Key, microseconds
from streampca.checkpoint.fields import key as check_key
from streampca.checkpoint.keeping import which_moments
from streampca.checkpoint.opening import files_at
from streampca.checkpoint.places import Place, Places
from streampca.checkpoint.reading import keys, read, relative_path, write
from streampca.checkpoint.record import Checkpoint
from streampca.checkpoint.shown import StoreInNotebook
from streampca.checkpoint.summary import Summary, summaries

if TYPE_CHECKING:
    from pyarrow import fs

    from streampca.checkpoint.tidy import Tidied
    from streampca.checkpoint.verify import Verified

__all__ = ["CheckpointStore"]


class CheckpointStore(StoreInNotebook):
    """Checkpoints as files, written atomically and read by key and time.

    Parameters
    ----------
    uri : str or os.PathLike
        A local folder, or any URI that `pyarrow.fs` knows, such as ``s3://bucket/folder``. It is
        made by the first `write`.
    filesystem : pyarrow.fs.FileSystem, optional
        Where `uri` is a path on a file system that was set up by the caller.

    Notes
    -----
    Any number of processes may read and write at the same time, while one compacts or prunes. Only
    the indexes of files of many checkpoints are kept in memory: a question reads no more than what
    answers it. A file that is torn, changed or foreign is named in a `CheckpointWarning` and passed
    over. Files are written in the folder ``.tmp`` and renamed; what a killed writer leaves there is
    removed by the next write a minute later (a day, where the file system has no locks).

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
        self._files = files_at(self.uri, filesystem)
        self.places = Places(self._files, self._skip)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"

    def write(self, checkpoint: Checkpoint) -> str:
        """Write a checkpoint so that it is there completely and for good, or not at all.

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

    def write_many(self, checkpoints: Iterable[Checkpoint]) -> list[str]:
        """Write checkpoints into one file for each day of window ends; the paths of the files.

        Each is complete or not at all. Cheaper than `write` by far: a file is made, and made to
        last, for all of them. Writing the same checkpoints again, also among others, replaces them.
        """
        return [self._files.path(relative) for relative in write(self.places, checkpoints)]

    def put(self, relative: str, data: bytes) -> str:
        """Write a file of `relative_path`, complete or not at all; its path."""
        self._files.write(relative, data)
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
        place = self._places(key).get(Name(window_end, sequence))
        return None if place is None else next(read(self.places, [place], moments=moments), None)

    def resume_point(self, key: Key = None, *, moments: bool = True) -> Checkpoint | None:
        """The checkpoint of a key to go on from; None if there is none.

        That is the latest, unless late rows made one of an earlier window after it: written last,
        only that one has learned them.
        """
        newest = self.latest(key, moments=moments)
        if newest is None:
            return None
        last = max(self._places(key).values(), key=lambda place: place.name.sequence)
        if last.name.sequence > newest.sequence:
            late = next(read(self.places, [last], moments=moments), None)
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
        return next(self._newest_first(key, microseconds(time), moments), None)

    def history(self, key: Key = None, *, moments: bool = True) -> list[Checkpoint]:
        """All checkpoints of a key, oldest first.

        `moments` False leaves out, and does not read, what is only for going on: much less to
        hold, where moments are dense.
        """
        return list(self._newest_first(key, None, moments))[::-1]

    def summaries(self, key: Key = None, *, last: int | None = None) -> list[Summary]:
        """What is short of each checkpoint of a key, oldest first: times, rows, variances, drift.

        Much quicker than `history`: means and components are not read. Of the `last` so many,
        nothing of older ones is.
        """
        places = self.places.newest_first(check_key(key))
        return summaries(self.places, places, last)[::-1]

    def written(self, key: Key = None) -> list[tuple[int | None, int]]:
        """Window end and sequence of each checkpoint of a key, oldest first, for `read`.

        From the names of files alone: cheap enough to ask again and again what is new.
        """
        names = sorted(self._places(key), key=lambda name: name.order)
        return [(name.window_end, name.sequence) for name in names]

    def keys(self) -> list[Key]:
        """The keys that have files: None first, then numbers, then texts, each in order."""
        return keys(self.places)

    # --- order ----------------------------------------------------------------------------------

    def compact(
        self, *, moments: str | int = "all", spare: Iterable[tuple[Key, int | None, int]] = ()
    ) -> Tidied:
        """Put the checkpoints of each day into as few files as can be; safe beside writers.

        Parameters
        ----------
        moments : {"all", "last", "none"} or int, default="all"
            Which of them keep what is only for going on: all, the last of each key, that and every
            k-th, none.
        spare : iterable of tuple
            Key, window end and sequence of checkpoints that keep it in any case.

        Returns
        -------
        Tidied
            `checkpoints` it has, `files_before`, `files`, checkpoints `removed` (none).
        """
        from streampca.checkpoint.tidy import compact

        return compact(self.places, moments=which_moments(moments), spare=spare)

    def prune(
        self,
        *,
        keep_last: int | str | None = None,
        keep_hourly: int | str | None = None,
        keep_daily: int | str | None = None,
        keep_weekly: int | str | None = None,
        keep_monthly: int | str | None = None,
        keep_yearly: int | str | None = None,
        spare: Iterable[tuple[Key, int | None, int]] = (),
        dry_run: bool = False,
    ) -> Tidied:
        """Remove the checkpoints of each key that no rule keeps; safe beside writers.

        The newest of each key stays, and the one to go on from. Those outside windows are judged by
        a number for `keep_last` alone. Hours and days are those of UTC, by the last instant of a
        window.

        Parameters
        ----------
        keep_last : int or str, optional
            How many of the newest stay, or from how long before the newest on: "365d", "12h".
        keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly : int or str, optional
            The last of each hour (day ...) stays: of so many hours that have any, the newest first,
            or of those within a time before the newest: ``keep_hourly="365d"``.
        spare : iterable of tuple
            Key, window end and sequence of checkpoints that stay in any case; read after the store.
        dry_run : bool, default=False
            Say what would be done, and do nothing.

        Returns
        -------
        Tidied
            `checkpoints` it has, `files_before`, `files`, checkpoints `removed`.

        Raises
        ------
        ValueError
            If there is no rule, or one that is neither a number above 0 nor a time.
        """
        from streampca.checkpoint.retention import Retention
        from streampca.checkpoint.tidy import prune

        long = {"weekly": keep_weekly, "monthly": keep_monthly, "yearly": keep_yearly}
        rules = Retention.of(last=keep_last, hourly=keep_hourly, daily=keep_daily, **long)
        return prune(self.places, rules, spare=spare, dry_run=dry_run)

    def copy_to(self, store: CheckpointStore) -> int:
        """Write all checkpoints into another store, many to a file; how many."""
        from streampca.checkpoint.tidy import copy

        return copy(self.places, store.places)

    def verify(self) -> Verified:
        """Read every file to its end.

        Returns
        -------
        Verified
            `checkpoints`, copies that others have `replaced`, `files`, and `problems`: the paths of
            files that are torn, changed or foreign, each with the reason.
        """
        from streampca.checkpoint.verify import verify

        return verify(self.places)

    def everything(self, *, moments: bool = True) -> Iterator[Checkpoint]:
        """All checkpoints of all keys that can be read, one at a time."""
        from streampca.checkpoint.tidy import everything

        return everything(self.places, moments=moments)

    # --- inside ---------------------------------------------------------------------------------

    def _places(self, key: Key) -> dict[Name, Place]:
        return self.places.of_key(check_key(key))

    def _newest_first(self, key: Key, until: int | None, moments: bool) -> Iterator[Checkpoint]:
        places = self.places.newest_first(check_key(key), until)
        return read(self.places, places, moments=moments)

    def _skip(self, relative: str, reason: str) -> None:
        message = f"Skipped {self._files.path(relative)!r}: {reason}."
        warnings.warn(message, CheckpointWarning, stacklevel=6)
