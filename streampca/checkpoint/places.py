"""Where the checkpoints of a store lie: in files of their own, or many in one.

Which of several counts is said, and argued, in listing.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from streampca.checkpoint import columns, paths
from streampca.checkpoint.bundle import read_index
from streampca.checkpoint.bundle_index import Index, Name, Rank
from streampca.checkpoint.catalogue import Asked, Brief, Catalogue, OfKey
from streampca.checkpoint.fields import Key
from streampca.checkpoint.files import Files, Unusable
from streampca.checkpoint.listing import Listing
from streampca.wire import WireError

__all__ = ["Place", "Places", "Which", "counting", "single_place"]


_LAST = 2**63 - 1
_ALL = Asked()

Which = tuple[type, Key, Name]
"""A checkpoint; 1 and "1" are two keys."""


class Place(NamedTuple):
    """One checkpoint: key and name, the file that it is in, and in which row of many."""

    key: Key
    name: Name
    relative: str
    row: int | None
    order: int

    @property
    def which(self) -> Which:
        """The checkpoint."""
        return type(self.key), self.key, self.name

    @property
    def day(self) -> str:
        """The folder of the files of many in which it may lie."""
        return paths.day_folder(self.name.window_end)


class Places:
    """Files of a store as places of checkpoints.

    Parameters
    ----------
    files : Files
    skip : callable
        Told which file cannot be used, and why.
    """

    def __init__(self, files: Files, skip: Callable[[str, str], None]) -> None:
        self.files, self.skip = files, skip
        self.listing = Listing(files, skip)
        self.catalogue = Catalogue(files)
        self._indexes: dict[str, Index] = {}  # of files, which never change

    def __getstate__(self) -> dict[str, object]:
        return vars(self) | {"catalogue": Catalogue(self.files), "_indexes": {}}

    # --- files of many --------------------------------------------------------------------------

    def days(self) -> list[str]:
        """The folders of files of many, the newest day first."""
        return sorted(self.listing.days(), key=paths.day_number, reverse=True)

    def bundles(self, days: Iterable[str], asked: Asked = _ALL) -> dict[str, dict[str, Index]]:
        """For each day the files of many that there are now and are wanted, with their indexes."""
        days = list(days)
        while True:
            listed, gone = self.listing.bundles(days), False
            asked.begin()
            found: dict[str, dict[str, Index]] = {}
            for day, files in listed.items():
                found[day] = {}
                briefs = self.catalogue.of_day(day, files)
                for relative in files:
                    if relative in briefs and not asked.wants(briefs[relative]):
                        continue
                    try:
                        index = self.index(relative)
                    except FileNotFoundError:
                        gone = True
                        continue
                    if index is not None:
                        found[day][relative] = index
                        asked.learn(index)
                self._learn(day, briefs, found[day])
            # who replaced it had written the replacement before; somebody else has removed it
            if not gone or self.listing.bundles(days) == listed:
                self._forget(listed)
                return found

    def reaching(self, key: Key, day: str) -> list[tuple[Brief, str]]:
        """The files of a day that may have checkpoints of a key, those that reach last first."""
        files = self.listing.bundles([day])[day]
        self._forget({day: files})
        briefs = self.catalogue.of_day(day, files)
        unknown = {name: self.index(name) for name in files if name not in briefs}
        read = {name: index for name, index in unknown.items() if index is not None}
        briefs |= self._learn(day, briefs, read)
        having = [(brief, name) for name, brief in briefs.items() if brief.may_have(key)]
        return sorted(having, key=lambda each: (each[0].last, each[1]), reverse=True)

    def indexes(self, asked: Asked = _ALL) -> dict[str, Index]:
        """The files of many that are wanted, each with its index."""
        bundles = self.bundles(self.days(), asked)
        return {relative: index for day in bundles.values() for relative, index in day.items()}

    def _learn(
        self, day: str, briefs: Mapping[str, Brief], read: Mapping[str, Index]
    ) -> dict[str, Brief]:
        """Note what the files have that were read for want of a record."""
        new = {name: index for name, index in read.items() if name not in briefs}
        return self.catalogue.learn(day, new) if new else {}

    def _forget(self, listed: dict[str, list[str]]) -> None:
        """The indexes of files that are there no longer."""
        there = {relative for files in listed.values() for relative in files}
        for relative in list(self._indexes):
            if relative.partition("/")[0] in listed and relative not in there:
                self._indexes.pop(relative, None)

    def index_of(self, relative: str) -> Index | None:
        """The index of a file, if it has been read before."""
        return self._indexes.get(relative)

    def index(self, relative: str) -> Index | None:
        """The index of a file; None if it cannot be used, which is told."""
        known = self._indexes.get(relative)
        if known is not None:
            return known
        try:
            with self.files.opened(relative) as file, columns.as_checkpoint_error("file"):
                index = read_index(file)
                said = paths.parse_bundle_name(relative.partition("/")[2])
                if said is None or said[:2] != (index.highest, index.digest):
                    raise WireError("it has other checkpoints than its name says")
                ends = {index.name(0).window_end, index.name(len(index) - 1).window_end}
                if {paths.day_folder(end) for end in ends} != {relative.partition("/")[0]}:
                    raise WireError("it has checkpoints of another day than its folder says")
        except (Unusable, WireError) as error:
            self.skip(relative, str(error))
            return None
        self._indexes[relative] = index
        return index

    # --- files of one ---------------------------------------------------------------------------

    def singles(self, key: Key, folder: str | None = None) -> Iterator[Place]:
        """The checkpoints of a key in files of their own."""
        folder = paths.key_folder(key) if folder is None else folder
        for name in self.listing.names(folder):
            parsed = paths.parse_file_name(folder, name)
            if parsed is not None:
                relative = f"{folder}/{name}"
                yield single_place(key, Name(parsed.window_end, parsed.sequence), relative)
            else:
                self.skip(f"{folder}/{name}", "its name is not that of a checkpoint of this key")

    def known_key(self, folder: str) -> tuple[Key, bool] | None:
        """The key of a folder, and whether its name has all of it; None if it is no key's."""
        try:
            return paths.folder_key(folder)
        except ValueError as error:
            self.skip(folder, str(error))
            return None

    # --- both -----------------------------------------------------------------------------------

    def of_day(self, key: Key, day: str) -> dict[Name, Place]:
        """The checkpoints of a key that end on a day."""
        singles = [place for place in self.singles(key) if place.day == day]
        return _counting(key, self.bundles([day], OfKey(key))[day], singles)

    def of_key(self, key: Key) -> dict[Name, Place]:
        """All checkpoints of a key, unordered."""
        singles = list(self.singles(key))
        return _counting(key, self.indexes(OfKey(key)), singles)

    def newest_first(self, key: Key, until: int | None = None) -> Iterator[Place]:
        """The checkpoints of a key, of windows that had ended by then, if that is given.

        Days are read one after the other, and files of a day by what they reach, so that who wants
        the newest opens no more than its.
        """
        singles: dict[str, list[Place]] = {}
        for place in self.singles(key):
            singles.setdefault(place.day, []).append(place)
        last = None
        if until is not None:  # no window ends later
            until = max(-_LAST, min(until, _LAST))
            last = paths.day_number(paths.day_folder(until))
        there = set(self.days())
        for day in sorted(singles.keys() | there, key=paths.day_number, reverse=True):
            if last is not None and not -math.inf < paths.day_number(day) <= last:
                continue
            mine = {place.name: place for place in singles.get(day, [])}
            found = self._of_day_newest_first(key, day, until, mine) if day in there else None
            for place in _descending(mine.values()) if found is None else found:
                if until is None or (place.name.window_end or 0) <= until:
                    yield place

    def _of_day_newest_first(
        self, key: Key, day: str, until: int | None, singles: dict[Name, Place]
    ) -> Iterator[Place]:
        """Those of a day, each once all files are read that reach as far."""
        waiting: dict[Name, Place] = dict(singles)
        given: Rank | None = None
        try:
            for brief, relative in self.reaching(key, day):
                if until is not None and brief.first[0] > until:
                    continue
                for place in _descending(p for p in waiting.values() if p.name.rank > brief.last):
                    given = place.name.rank
                    yield waiting.pop(place.name)
                index = self.index(relative)
                for place in () if index is None else _in_file(key, relative, index):
                    other = waiting.get(place.name)
                    if other is None or _after(place, other):
                        waiting[place.name] = place
        except FileNotFoundError:  # others have replaced what was listed
            waiting = self.of_day(key, day)
            if given is not None:
                waiting = {name: p for name, p in waiting.items() if name.rank < given}
        yield from _descending(waiting.values())


def _descending(places: Iterable[Place]) -> list[Place]:
    return sorted(places, key=lambda place: place.name.rank, reverse=True)


def _in_file(key: Key, relative: str, index: Index) -> Iterator[Place]:
    for row in index.rows_of(key):
        yield Place(key, index.name(row), relative, row, index.order(row))


def _after(place: Place, other: Place) -> bool:
    """Whether it counts, and not the other one, of the same name."""
    return (place.order, place.relative) >= (other.order, other.relative)


def single_place(key: Key, name: Name, relative: str) -> Place:
    """That of a checkpoint in a file of its own: it comes before those in files of many."""
    return Place(key, name, relative, None, 2**63)


def _counting(key: Key, indexes: dict[str, Index], singles: Iterable[Place]) -> dict[Name, Place]:
    """For each name of a key the place that counts."""
    found: dict[Name, Place] = {}
    for relative, index in indexes.items():
        for place in _in_file(key, relative, index):
            other = found.get(place.name)
            if other is None or _after(place, other):
                found[place.name] = place
    return found | {place.name: place for place in singles}


def counting(
    indexes: Mapping[str, Index], singles: Iterable[Place]
) -> tuple[dict[Which, Place], set[str]]:
    """For each checkpoint of some files the place that counts; files that have others' as well.

    Those in files of their own get the order after the highest that they replace.
    """
    found: dict[Which, Place] = {}
    double: set[str] = set()

    def add(place: Place) -> None:
        other = found.get(place.which)
        if other is not None:
            double.add((place if other.order > place.order else other).relative)
        if other is None or other.order <= place.order:
            found[place.which] = place

    for relative, index in sorted(indexes.items()):
        for row, (key, name, order) in enumerate(index.rows()):
            add(Place(key, name, relative, row, order))
    for place in singles:
        below = found.get(place.which)
        add(place._replace(order=1 if below is None else below.order + 1))
    return found, double
