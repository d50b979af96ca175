"""Stores kept in order beside their writers: many files become few, old checkpoints go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from streampca.checkpoint import paths
from streampca.checkpoint.bundle_index import Name
from streampca.checkpoint.day import Change, Day
from streampca.checkpoint.fields import Key
from streampca.checkpoint.files import Stamp
from streampca.checkpoint.keeping import keeps_moments
from streampca.checkpoint.places import Place, Places, Which
from streampca.checkpoint.reading import read, singles, write
from streampca.checkpoint.record import Checkpoint
from streampca.checkpoint.retention import Retention

__all__ = ["Tidied", "compact", "copy", "everything", "prune"]

_TRIES = 5
_AT_ONCE = 2**10
"""Checkpoints that are copied at once."""


class Tidied(NamedTuple):
    """What was done to a store."""

    checkpoints: int
    """That it has now."""
    files_before: int
    files: int
    removed: int
    """Checkpoints."""


Spared = Iterable[tuple[Key, int | None, int]]
"""Checkpoints, by key, window end and sequence, that are left as they are in any case."""


def compact(places: Places, *, moments: str | int = "all", spare: Spared = ()) -> Tidied:
    """Put the checkpoints of each day into as few files as can be.

    `moments` says which of them keep what is only for going on.
    """
    with places.files.alone():
        own, files = _singles(places), _n_files(places)
        last: set[Which] = set()
        if moments not in ("all", "none"):
            for (kind, key), names in _names(places).items():
                last |= {(kind, key, name) for name in Retention.resumed(names)}
        spared = _spared(spare)

        def change(place: Place) -> Change:
            is_last = place.which in last
            keeps = place.which in spared or keeps_moments(
                moments, place.name.sequence, last=is_last
            )
            return Change.NONE if keeps else Change.WITHOUT_MOMENTS

        count = 0
        for folder in sorted(own.keys() | set(places.days())):
            day = Day(places, folder, own.get(folder, {}))
            day.settle(change)
            count += len(day.counting)
        return Tidied(count, files, _n_files(places), 0)


def prune(
    places: Places, retention: Retention, *, spare: Spared = (), dry_run: bool = False
) -> Tidied:
    """Remove the checkpoints that no rule keeps; days that lose none stay as they are."""
    with places.files.alone():
        own, files = _singles(places), _n_files(places)
        names = _names(places)
        going = {
            (kind, key, name)
            for (kind, key), mine in names.items()
            for name in mine - retention.staying(mine)
        } - _spared(spare)

        def change(place: Place) -> Change:
            goes = place.which in going
            return Change.GONE if goes else Change.NONE

        if dry_run:
            return Tidied(sum(map(len, names.values())) - len(going), files, files, len(going))
        removed = sum(
            _without_doubles(places, folder, own.get(folder, {})).settle(change)
            for folder in sorted({paths.day_folder(name.window_end) for *_, name in going})
        )
        return Tidied(sum(map(len, names.values())) - removed, files, _n_files(places), removed)


def copy(places: Places, to: Places) -> int:
    """Write all checkpoints into another store; how many."""
    count, waiting = 0, everything(places, moments=True)
    while some := list(islice(waiting, _AT_ONCE)):
        write(to, some)
        count += len(some)
    return count


def everything(places: Places, *, moments: bool) -> Iterator[Checkpoint]:
    """Every checkpoint of a store that can be read, once."""
    own = _singles(places)
    for folder in sorted(own.keys() | set(places.days()), key=paths.day_number):
        counting = Day(places, folder, own.get(folder, {})).counting.values()
        ordered = sorted(counting, key=lambda place: (place.relative, place.row or 0))
        yield from read(places, ordered, moments=moments)


# --- inside -------------------------------------------------------------------------------------


def _spared(spare: Spared) -> set[Which]:
    return {(type(key), key, Name(end, sequence)) for key, end, sequence in spare}


def _without_doubles(places: Places, folder: str, own: Mapping[Place, Stamp | None]) -> Day:
    """A day in which each checkpoint is once: where a newer one goes, no older one comes back.

    Files of their own are those of when pruning began. One that a writer has put there since is
    newer than what goes, and stays; one that he has replaced is another file, and stays.
    """
    for _ in range(_TRIES):
        day = Day(places, folder, own)
        if not day.has_doubles:
            return day
        day.settle(lambda _: Change.NONE)
        own = _listed_again(places, folder, own)
    raise RuntimeError(
        f"Cannot prune {folder!r}: it has checkpoints twice, because a file cannot be read, or "
        "because a writer replaces them all the time. Nothing was lost; see `streampca store "
        "verify`."
    )


def _singles(places: Places) -> dict[str, dict[Place, Stamp | None]]:
    """By day, checkpoints in files of their own, and which files these are.

    Taken before anything is read: what a writer replaces from then on is another file.
    """
    found: dict[str, dict[Place, Stamp | None]] = {}
    for place in singles(places):
        found.setdefault(place.day, {})[place] = places.files.stamp(place.relative)
    return found


def _listed_again(
    places: Places, day: str, own: Mapping[Place, Stamp | None]
) -> dict[Place, Stamp | None]:
    """Files of their own that there are now, of a day and of the keys that had some."""
    keys = {place.relative.partition("/")[0]: place.key for place in own}
    there = [p for folder, key in keys.items() for p in places.singles(key, folder)]
    return {p: places.files.stamp(p.relative) for p in there if p.day == day}


def _names(places: Places) -> dict[tuple[type, Key], set[Name]]:
    """The checkpoints of each key."""
    found: dict[tuple[type, Key], set[Name]] = {}
    for place in singles(places):
        found.setdefault(place.which[:2], set()).add(place.name)
    for index in places.indexes().values():
        for key, name, _ in index.rows():
            found.setdefault((type(key), key), set()).add(name)
    return found


def _n_files(places: Places) -> int:
    listed = places.listing.bundles(places.days())
    return len(singles(places)) + sum(map(len, listed.values()))
