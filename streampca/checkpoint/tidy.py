"""Stores kept in order beside their writers: many files become few, old checkpoints go.

Every step writes what is to stay before it removes what it was made of, so that whoever is killed,
or reads meanwhile, has the old or the new state of a day; and a file that a writer has replaced
since it was read is not removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from streampca.checkpoint import paths
from streampca.checkpoint.bundle import MOST_ROWS
from streampca.checkpoint.bundle_index import Index, Name, key_order
from streampca.checkpoint.fields import Key
from streampca.checkpoint.files import Stamp
from streampca.checkpoint.keeping import keeps_moments
from streampca.checkpoint.places import Place, Places, bundled
from streampca.checkpoint.record import Checkpoint

__all__ = ["Tidied", "all_checkpoints", "compact", "copy", "prune"]


class Tidied(NamedTuple):
    """What was done to a store."""

    checkpoints: int  # that it has now
    files_before: int
    files: int
    removed: int  # checkpoints


class Kept(NamedTuple):
    """One checkpoint of a store, by key and place, and whether its key has a later one."""

    key: Key
    place: Place
    is_last: bool


def compact(places: Places, *, moments: str | int = "all") -> Tidied:
    """Put the checkpoints of each day into as few files as can be.

    `moments` says which of them keep what is only for going on.
    """
    return _rewritten(places, lambda _: True, moments, every_day=moments != "all")


def prune(places: Places, *, keep_every: int, older_than: int) -> Tidied:
    """Of each key's checkpoints that are old, keep the last in every so many microseconds.

    Old is what ends `older_than` microseconds before the key's newest. The last of a key stays, as
    do those outside windows; days that lose none stay as they are.
    """
    kept = _all(places)
    staying = {
        (type(key), key, name)
        for key, mine in _by_key(kept)
        for name in _chosen(mine, keep_every, older_than)
    }
    there = {(type(each.key), each.key, each.place.name) for each in kept}

    def stays(each: Kept) -> bool:
        name = (type(each.key), each.key, each.place.name)
        return name in staying or name not in there  # what has come since is not judged

    return _rewritten(places, stays, "all", every_day=False)


def copy(places: Places, to: Places) -> int:
    """Write all checkpoints into another store; how many."""
    count = 0
    for some in _slices(_all(places)):
        found = list(_read(places, some))
        to.write(found)
        count += len(found)
    return count


def all_checkpoints(places: Places, *, moments: bool) -> Iterator[Checkpoint]:
    """Every checkpoint of a store that can be read, once."""
    for some in _slices(_all(places)):
        yield from places.read((kept.place for kept in some), moments=moments)


# --- inside -------------------------------------------------------------------------------------


def _all(places: Places, bundles: dict[str, Index] | None = None) -> list[Kept]:
    """Every checkpoint of a store once, by key and time."""
    bundles = places.bundles() if bundles is None else bundles
    found = []
    for key in sorted(places.keys(), key=key_order):
        mine = sorted(places.of_key(key, bundles).values(), key=lambda p: p.name.order)
        if not mine:  # removed meanwhile
            continue
        # late rows may have made one of an earlier window after the newest
        last = {mine[-1].name, max((p.name for p in mine), key=lambda name: name.sequence)}
        found += [Kept(key, place, place.name in last) for place in mine]
    return found


def _rewritten(
    places: Places, keeps: Callable[[Kept], bool], moments: str | int, *, every_day: bool
) -> Tidied:
    # before anything is read: what a writer replaces from now on is another file
    sources = _sources(places)
    bundles = places.bundles()
    kept = _all(places, bundles)
    by_day: dict[str, list[Kept]] = {}
    for each in kept:
        by_day.setdefault(paths.day_of(each.place.name.window_end), []).append(each)
    removed = 0
    for day, mine in by_day.items():
        stay = [each for each in mine if each.is_last or keeps(each)]
        # only what has been read: others were not, or came later
        read = bundles.keys() | {each.place.relative for each in mine}
        files = {name: s for name, s in sources.get(day, {}).items() if name in read}
        in_one = len(files) == 1 and mine[0].place.row is not None
        if len(stay) == len(mine) and in_one and not every_day:
            continue
        written = max((bundles[name].written for name in files if name in bundles), default=1)
        if _write_day(places, stay, moments, files, written):
            removed += len(mine) - len(stay)
    before, after = (sum(map(len, each.values())) for each in (sources, _sources(places)))
    return Tidied(len(kept) - removed, before, after, removed)


def _sources(places: Places) -> dict[str, dict[str, Stamp | None]]:
    """Files by day, and by what each is known to be the same later."""
    found: dict[str, dict[str, Stamp | None]] = {}
    for folder, is_folder in places.files.entries():
        if is_folder and paths.is_day(folder):
            for name, _ in places.files.entries(folder):
                if paths.bundle_digest(name) is not None:
                    relative = f"{folder}/{name}"
                    day = folder.removeprefix("day=")
                    found.setdefault(day, {})[relative] = places.files.stamp(relative)
        elif is_folder and paths.is_key_folder(folder):
            for place in places.singles(folder):
                day = paths.day_of(place.name.window_end)
                found.setdefault(day, {})[place.relative] = places.files.stamp(place.relative)
    return found


def _write_day(
    places: Places,
    stay: list[Kept],
    moments: str | int,
    sources: dict[str, Stamp | None],
    written: int,
) -> bool:
    """Write what stays of a day, then remove what it was made of; whether that was done.

    `written` is when the newest of that was: what a writer writes meanwhile is newer. Where one
    cannot be read, which is said, everything of that day stays.
    """
    made = set()
    # a name of their own: a writer that writes one of them again does not meet these
    salt = hashlib.blake2b(repr(sorted(sources.items())).encode(), digest_size=8).hexdigest()
    for some in _slices(stay):
        found = _read(places, some)
        if len(found) < len(some):
            return False
        lighter = [
            c if keeps_moments(moments, c.sequence, last=kept.is_last) else c.without_moments()
            for c, kept in zip(found, some, strict=True)
        ]
        for relative, data in bundled(lighter, written, salt):
            places.files.write(relative, data)
            made.add(relative)
    for relative, stamp in sources.items():
        if relative not in made and stamp is not None:
            places.files.remove_if(relative, stamp)
    return True


def _by_key(kept: list[Kept]) -> Iterator[tuple[Key, list[Kept]]]:
    for _, group in groupby(kept, key=lambda each: key_order(each.key)):
        mine = list(group)
        yield mine[0].key, mine


def _chosen(mine: list[Kept], keep_every: int, older_than: int) -> set[Name]:
    """Of one key's checkpoints, oldest first, those that stay."""
    ends = [kept.place.name.window_end for kept in mine]
    newest = max((end for end in ends if end is not None), default=0)
    last: dict[int, Name] = {}
    stay = set()
    for kept, end in zip(mine, ends, strict=True):
        if end is None or end > newest - older_than:
            stay.add(kept.place.name)
        else:
            last[(end - 1) // keep_every] = kept.place.name
    return stay | set(last.values())


def _read(places: Places, some: list[Kept]) -> list[Checkpoint]:
    """The checkpoints in their order; each file is opened once."""
    order = sorted(range(len(some)), key=lambda i: (some[i].place.relative, some[i].place.row or 0))
    found = list(places.read((some[i].place for i in order), moments=True))
    if len(found) < len(some):
        return found
    at: list[Any] = [None] * len(some)
    for i, checkpoint in zip(order, found, strict=True):
        at[i] = checkpoint
    return at


def _slices(kept: Iterable[Kept]) -> Iterator[list[Kept]]:
    """As many at a time as one file takes."""
    waiting: list[Kept] = []
    for each in kept:
        waiting.append(each)
        if len(waiting) == MOST_ROWS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
