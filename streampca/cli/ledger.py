"""What a fit has read and which checkpoints hold it: one small file in the store, written last.

Checkpoints of several keys appear one after another; a run may be killed between two of them. So
what counts is this file, which is replaced in one step after they are all there: it names the
checkpoints that belong together and how far each file had been read then. Checkpoints that a killed
run wrote after it are passed over, and written again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from streampca import CheckpointStore
from streampca.cli.models import Point
from streampca.files import BEGIN, Place, Source, Topic, atomic

_NAME = ".fit.json"  # hidden: who reads a folder of Parquet files passes it over
_OLD_NAME = "fit.json"  # of older versions
_VERSION = 1
_HEAD = 4096


@dataclasses.dataclass
class Reading:
    """How far one file has been read."""

    place: Place
    done: bool  # to its end
    size: int | None  # bytes, when it had been read to its end
    head_size: int  # its first bytes, by which it is known again
    head: str
    ended: bool = True  # whether its last line had its end

    def start(self, source: Source) -> Place | None:
        """Where to go on in a file; None where all of it has been read.

        Raises
        ------
        ValueError
            If this is not the file that was read before.
        """
        size = source.size
        same = fingerprint(source, self.head_size) == (self.head_size, self.head)
        if source.is_pipe:
            return self.place if same else BEGIN  # another stream: nothing of it has been read
        if not same or (self.size is not None and size is not None and size < self.size):
            raise ValueError(
                f"{source.name}: is not the file that was read before, so it cannot be gone on "
                "with; give it another name to count its rows as new, or fit into a new folder"
            )
        if self.done and size == self.size:
            return None
        if self.done and not self.ended and not _goes_on_with_a_line(source, self.size):
            raise ValueError(
                f"{source.name}: its last line was half when it was read, and has been learned as "
                "it was, so it cannot be gone on with; give the file another name to count its "
                "rows as new, or fit into a new folder"
            )
        return self.place


def go_on(readings: dict[str, Reading], topic: Topic, asked: Any) -> bool:
    """Have a topic begin where its readings say, and those of all its partitions be there.

    Returns
    -------
    bool
        Whether there are readings that were not there before.

    Raises
    ------
    ValueError
        If it is not the topic that was read before, or messages of it have been deleted since.
    """
    mine = topic.place_of(0)[:-1]
    known = {int(name.removeprefix(mine)): each for name, each in readings.items()
             if name.startswith(mine)}  # fmt: skip
    identity = topic.identify(asked)
    if any(each.head != identity for each in known.values()):
        raise ValueError(
            f"{topic.name}: is not the topic that was read before, but another of the same name, "
            "so it cannot be gone on with; fit into a new folder"
        )
    topic.starts = starts = topic.settle(asked, {n: r.place for n, r in known.items()})
    for number, place in starts.items():
        readings.setdefault(topic.place_of(number), Reading(place, False, None, 0, identity))
    return len(known) < len(starts)


@dataclasses.dataclass
class Ledger:
    """What is in a store, and what it was learned from."""

    readings: dict[str, Reading]  # by place
    points: list[Point]
    n_rows: int  # read, bad ones included
    n_bad: int
    bad_rows: str  # the file that they went to, if any
    bad_rows_size: int  # bytes of it
    settings: dict[str, Any]  # columns, key, half-life: what must be as before
    _may_be_old = False  # whether an older version's file may be there

    def write(self, store: CheckpointStore) -> None:
        """Replace the file in one step; one of an older version's name goes then."""
        content = {"version": _VERSION, **dataclasses.asdict(self)}
        atomic.write(path_in(store), json.dumps(content).encode() + b"\n")
        if self._may_be_old:
            atomic.remove(path_in(store, _OLD_NAME))
            self._may_be_old = False

    @classmethod
    def read(cls, store: CheckpointStore) -> Ledger | None:
        """What a store's file says; None if it has none.

        Raises
        ------
        ValueError
            If it cannot be read.
        """
        path, data = path_in(store), _content(path_in(store))
        if data is None:
            path = path_in(store, _OLD_NAME)
            data = _content(path)
        if data is None:
            return None
        try:
            content = json.loads(data)
            if content.pop("version") != _VERSION:
                raise ValueError("a newer streampca wrote it: upgrade streampca")
            content["readings"] = {
                name: Reading(**{**each, "place": Place(*each["place"])})
                for name, each in content["readings"].items()
            }
            content["points"] = [(key, end, sequence) for key, end, sequence in content["points"]]
            found = cls(**content)
            found._may_be_old = True
            return found
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path}: cannot be read ({_short(error)}); it says what has been "
                "read, and without it no fit can go on: fit into a new folder"
            ) from error


def _goes_on_with_a_line(source: Source, size: int | None) -> bool:
    """Whether what came after the bytes that were read begins with the end of a line."""
    if size is None:
        return True
    with source.open_raw() as file:
        if bytes(file.read(2)) == b"\x1f\x8b":
            return True  # another member of the same archive
        file.seek(size)
        return bytes(file.read(1)) in (b"\n", b"\r", b"")


def path_in(store: CheckpointStore, name: str = _NAME) -> str:
    """Where the ledger of a store lies."""
    return f"{store.uri.rstrip('/')}/{name}"


def _content(path: str) -> bytes | None:
    try:
        return atomic.read(path)
    except FileNotFoundError:
        return None


def _short(error: BaseException) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def fingerprint(source: Source, size: int | None = None) -> tuple[int, str]:
    """How many of a file's first bytes there are, up to `size`, and a digest of them.

    Of a pipe, without a size, those that have come: nothing is waited for.
    """
    if source.is_pipe and size is None:
        head = source.pipe.first
    else:
        head = source.head(_HEAD if size is None else size)
    return len(head), hashlib.blake2b(head, digest_size=16).hexdigest()
