"""The files of one day of a store, and how few are made of them.

What stays is copied into new files, which last before any that it was copied from goes; listing.py
argues why nothing is lost then.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping

from streampca.checkpoint import paths
from streampca.checkpoint.bundle import MOST_ROWS, Ordered, of_one_kind, to_bundle
from streampca.checkpoint.bundle_index import Index, key_order
from streampca.checkpoint.files import Stamp
from streampca.checkpoint.places import Place, Places, counting
from streampca.checkpoint.reading import read_each

__all__ = ["Change", "Day"]

_MOST_BYTES = 2**27
"""Of the checkpoints that are in memory at once, and so of a file."""


class Change(enum.Enum):
    """What becomes of a checkpoint."""

    NONE = enum.auto()
    WITHOUT_MOMENTS = enum.auto()
    GONE = enum.auto()


class Day:
    """What is there of a day; what writers add later is not read.

    Parameters
    ----------
    places : Places
    folder : str
        Of files of many.
    singles : mapping of Place to Stamp
        Checkpoints in files of their own, and which file each was before anything was read.
    """

    def __init__(self, places: Places, folder: str, singles: Mapping[Place, Stamp | None]) -> None:
        self._places, self._folder, self._singles = places, folder, singles
        self._indexes: dict[str, Index] = places.bundles([folder])[folder]
        self.counting, self._double = counting(self._indexes, singles)

    @property
    def has_doubles(self) -> bool:
        """Whether two files have the same checkpoint."""
        return bool(self._double)

    def settle(self, change: Callable[[Place], Change]) -> int:
        """Make few files of many, with changes; how many checkpoints are gone."""
        changes: dict[Place, Change] = {}
        for place in self.counting.values():
            wanted = change(place)
            if wanted is Change.WITHOUT_MOMENTS and not self._has_moments(place):
                continue
            if wanted is not Change.NONE:
                changes[place] = wanted
        chosen = self._worth_it({place.relative for place in changes} | self._double)
        chosen |= {place.relative for place in self._singles}
        gone = [place for place, what in changes.items() if what is Change.GONE]
        moving = [p for p in self.counting.values() if p.relative in chosen]
        moving = [p for p in moving if changes.get(p) is not Change.GONE]
        unreadable = set()
        for some in self._slices(moving):
            rows: Ordered = []
            for place, checkpoint in read_each(self._places, some, moments=True):
                if checkpoint is None:
                    unreadable.add(place.relative)
                    continue
                lighter = changes.get(place) is Change.WITHOUT_MOMENTS
                rows.append((checkpoint.without_moments() if lighter else checkpoint, place.order))
            self._write(rows)
        chosen -= unreadable
        singles = {p.relative: stamp for p, stamp in self._singles.items() if p.relative in chosen}
        self._places.listing.retire(chosen - singles.keys(), singles)
        self._places.catalogue.tidy(
            self._folder, self._places.listing.bundles([self._folder])[self._folder]
        )
        return sum(place.relative in chosen for place in gone)

    # --- inside ---------------------------------------------------------------------------------

    def _write(self, rows: Ordered) -> None:
        for some in of_one_kind(rows):
            index, data = to_bundle(some)
            folder = paths.day_folder(some[0][0].window_end)
            name = paths.bundle_name(index.highest, index.digest)
            self._places.files.write(f"{folder}/{name}", data)
            self._places.catalogue.add(f"{folder}/{name}", index)

    def _has_moments(self, place: Place) -> bool:
        return place.row is None or self._indexes[place.relative].has_moments(place.row)

    def _worth_it(self, changed: set[str]) -> set[str]:
        """Files of many that are written anew: those that change, and small ones if there are two.

        So what a large day has is not copied each time that a little comes.
        """
        chosen = changed & self._indexes.keys()
        small: dict[str, set[str]] = {}
        for relative, index in self._indexes.items():
            if relative in chosen or 2 * len(index) >= MOST_ROWS:
                continue
            if 2 * self._size(relative) < _MOST_BYTES:
                small.setdefault(index.types, set()).add(relative)
        for some in small.values():
            if len(some) > 1 or self._singles or chosen:
                chosen = chosen | some
        return chosen

    def _size(self, relative: str) -> int:
        stamp = self._places.files.stamp(relative)
        return 0 if stamp is None else stamp[0]

    def _slices(self, places: Iterable[Place]) -> Iterator[list[Place]]:
        """By key and time, as many as may be in memory at once; each file's in its order."""
        sizes = {place.relative: stamp[0] for place, stamp in self._singles.items() if stamp}
        sizes |= {name: self._size(name) // len(index) for name, index in self._indexes.items()}
        types = {name: index.types for name, index in self._indexes.items()}
        ordered = sorted(
            places,
            key=lambda p: (types.get(p.relative, ""), key_order(p.key), p.name.order),
        )
        waiting: list[Place] = []
        n_bytes = 0
        for place in ordered:
            waiting.append(place)
            n_bytes += sizes.get(place.relative, 0)
            if len(waiting) == MOST_ROWS or n_bytes >= _MOST_BYTES:
                yield _by_file(waiting)
                waiting, n_bytes = [], 0
        if waiting:
            yield _by_file(waiting)


def _by_file(places: list[Place]) -> list[Place]:
    """So that each file is opened once."""
    return sorted(places, key=lambda place: (place.relative, place.row or 0))
