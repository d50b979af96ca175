"""Options and inputs of a job, kept beside its checkpoints: a rerun is the same job, or refused."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from beam_pipelines.stores import is_beams, open_store
from streampca.files import local_path
from streampca.wire import WireError, decode, encode

NAME = "_job.arrow"
"""Readers of stores pass over names that begin so."""

_KIND = "job"

_log = logging.getLogger(__name__)

T = TypeVar("T")


class JobRecord(NamedTuple):
    """Options and inputs of a job."""

    asked: dict[str, Any]  # by option
    input: list[list[Any]]  # path, bytes and time of each file
    alone: bool  # whether the store has no checkpoints but those of this job

    @classmethod
    def of(cls, asked: dict[str, Any], paths: list[str]) -> Self:
        """Return the record of a job that is about to begin."""
        return cls(asked, [_stamp(path) for path in sorted(paths)], True)

    @classmethod
    def read(cls, store: str) -> Self | None:
        """Return the record in a store; None if there is none.

        Raises
        ------
        ValueError
            If it cannot be read.
        """
        return read_value(
            store,
            NAME,
            _KIND,
            lambda meta: cls(dict(meta["asked"]), list(meta["input"]), bool(meta["alone"])),
            f"{_path(store, NAME)} is no record of a job",
        )

    def write(self, store: str) -> None:
        """Write the record in one step."""
        write_beside(store, NAME, encode(_KIND, {}, self._asdict()))

    def differs(self, other: JobRecord) -> str:
        """How the other job is another one; "" if it is the same."""
        for name in self.asked.keys() | other.asked.keys():
            before, now = self.asked.get(name), other.asked.get(name)
            if before != now:
                return f"{name} was {before!r} and is {now!r}"
        files, known = ({path: rest for path, *rest in each.input} for each in (other, self))
        if files.keys() != known.keys():
            changed = sorted(files.keys() ^ known.keys())[0]
            return f"{changed} was {'not ' if changed in files else ''}among the files"
        changed_files = sorted(path for path in files if files[path] != known[path])
        return f"{changed_files[0]} has changed since" if changed_files else ""


def read_value(
    store: str, name: str, kind: str, make: Callable[[dict[str, Any]], T], refusal: str
) -> T | None:
    """What a file beside checkpoints says, as a value; None if it is not there.

    Raises
    ------
    ValueError
        With the refusal, if it cannot be read.
    """
    try:
        path = _path(store, name)
        if not FileSystems.exists(path):
            return None
        with FileSystems.open(path, "application/octet-stream") as file:
            return make(decode(bytes(file.read()), kind=kind).meta)
    except (WireError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{refusal} ({error})") from error


def write_beside(store: str, name: str, data: bytes) -> None:
    """Write a file beside the checkpoints of a store, in one step."""
    path = _path(store, name)
    if is_beams(store):
        with FileSystems.create(path, "application/octet-stream") as file:
            file.write(data)
        return
    Path(store).mkdir(parents=True, exist_ok=True)
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    Path(temporary).write_bytes(data)
    os.replace(temporary, path)


def end(record: JobRecord, store: str) -> None:
    """Note that a job has closed windows of which rows may still come: nothing goes on from it."""
    record._replace(asked={**record.asked, "ended": True}).write(store)


def begin(record: JobRecord, store: str, resume: bool) -> None:
    """Leave the record of a job in its store; raise if it cannot go on from what is there.

    Raises
    ------
    ValueError
        With `resume`, if what is in the store is not of this very job.
    """
    try:
        before = JobRecord.read(store)
        has_others = before is None and bool(open_store(store).keys())
        if resume:
            _check(before, record, store, has_others)
        elif has_others or (before is not None and (not before.alone or before.differs(record))):
            record = record._replace(alone=False)
        record.write(store)
    except (OSError, BeamIOError) as error:
        if resume:
            raise ValueError(f"--resume: {store} cannot be read or written ({error})") from error
        _log.warning(
            "%s: no record of the job could be left (%s); it has no --resume", store, error
        )


def _check(before: JobRecord | None, record: JobRecord, store: str, has_others: bool) -> None:
    if has_others:
        raise ValueError(
            f"--resume: the checkpoints in {store} are not of this job, of which there is no "
            f"record ({NAME}): leave --resume out, or give another --output"
        )
    if before is None:
        return  # nothing was written before the crash
    if before.asked.get("ended"):
        raise ValueError(
            f"--resume: the job that wrote {store} has ended and closed its windows, so rows of "
            "them that came since would be lost: give another --output"
        )
    changed = before.differs(record)
    if changed:
        raise ValueError(
            f"--resume: this is not the job that wrote {store}: {changed}; give the same options "
            "and files, or leave --resume out and give another --output"
        )
    if not before.alone:
        raise ValueError(
            f"--resume: {store} also has checkpoints of another job, or of other files: leave "
            "--resume out, or give another --output"
        )


def _stamp(path: str) -> list[Any]:
    """Path, bytes and time of a file, as far as its file system says."""
    local = local_path(path)
    if local is not None:  # asked by its own name, which may have signs of patterns in it
        stat = os.stat(local)
        return [path, stat.st_size, round(stat.st_mtime, 3)]
    if is_beams(path):
        (match,) = FileSystems.match([path])
        for found in match.metadata_list:
            time = found.last_updated_in_seconds
            return [path, found.size_in_bytes, time and round(time, 3)]
    return [path, None, None]


def _path(store: str, name: str) -> str:
    return FileSystems.join(store, name) if is_beams(store) else os.path.join(store, name)
