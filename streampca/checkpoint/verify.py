"""Every file of a store read to its end, to say which cannot be trusted."""

from __future__ import annotations

from typing import NamedTuple

from streampca.checkpoint import columns
from streampca.checkpoint.bundle import check_pages
from streampca.checkpoint.files import Unusable
from streampca.checkpoint.places import Place, Places
from streampca.checkpoint.reading import keys, read_each, singles
from streampca.wire import WireError

__all__ = ["Verified", "verify"]


class Verified(NamedTuple):
    """What a store has, and what of it cannot be trusted."""

    checkpoints: int
    """Each once, that can be read."""
    replaced: int
    """Copies that count no more, which compacting removes."""
    files: int
    problems: dict[str, str]
    """Paths of files that are torn, changed or foreign, with the reason."""


def verify(places: Places) -> Verified:
    """Read all there is, also what others have replaced."""
    problems: dict[str, str] = {}

    def tell(relative: str, why: str) -> None:
        problems.setdefault(relative, why)

    mine = Places(places.files, tell)
    keys(mine)  # says what has no place in a store
    own = singles(mine)
    n_files, readable = len(own), 0
    names = set()
    for place, checkpoint in read_each(mine, own, moments=True):
        if checkpoint is not None:
            readable += 1
            names.add(place.which)
    for relative, index in mine.indexes().items():
        n_files += 1
        rows = [Place(key, name, relative, i, n) for i, (key, name, n) in enumerate(index.rows())]
        for place, checkpoint in read_each(mine, rows, moments=True):
            if checkpoint is not None:
                readable += 1
                names.add(place.which)
        _rest(mine, relative)
    n_files += sum(relative not in {place.relative for place in own} for relative in problems)
    said = {places.files.path(relative): why for relative, why in problems.items()}
    return Verified(len(names), readable - len(names), n_files, said)


def _rest(places: Places, relative: str) -> None:
    """What only other readers read."""
    index = places.index_of(relative)
    try:
        with places.files.opened(relative) as file, columns.as_checkpoint_error("file"):
            if index is not None:
                check_pages(file, index)
    except FileNotFoundError:  # replaced meanwhile
        pass
    except (Unusable, WireError) as error:
        places.skip(relative, str(error))
