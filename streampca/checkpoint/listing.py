"""Which files a store has; nothing is lost, and nothing counts twice, while some replace others.

What a store has is a map from (key, window end, sequence) to a checkpoint, written by anybody at
any time, and never locked as one. It is right by four rules.

1. *A file of many checkpoints never changes.* It is written under a temporary name, made to last,
   and renamed to a name that no file ever had. So whoever removes one by its name removes what was
   read, and no newer file.
2. *The higher order counts.* Each checkpoint in such a file has an order, which it keeps wherever
   it is copied to; a writer takes one above all of that day's files (and above its clock). Reading
   takes the highest order of each name, so files may say the same twice, or say what is out of
   date: it makes no difference. A checkpoint in a file of its own (which `write` replaces in
   place) comes before those in files of many; `write_many` removes it once it has written a newer
   one, and copying it into a file of many gives it the order after the highest that it replaces.
3. *First the new file, then the old ones go.* Compacting copies the highest of each name into new
   files. When these last, removing the old ones in any order changes nothing that is read. Whoever
   is killed before has left the old state, afterwards the same. What a writer adds meanwhile is
   another file, with a higher order: it stays, and counts. A checkpoint in a file of its own is
   removed only if it is still the file that was read, while no writer may rename (a lock; on file
   systems without locks the moment between the two is not safe). All files that have a name are of
   one day, so days are settled one by one. Pruning first makes all names of a day single, so that
   no removal brings an older one back; then it leaves checkpoints out of a copy. Only one process
   compacts or prunes at a time (a lock): two would bring back what one of them has pruned.
4. *Who lists notices.* Listing a folder is not atomic: a file that is renamed into it, and one that
   is removed, may both be missed. Whoever removes files first writes a new token to `.generation`;
   who lists reads it before and after, and lists again if it has changed. Say it has not, and a
   file was removed while the listing went on: its token was there before the listing began, hence
   so was the file that replaces it. That is in the listing, or was removed in its turn, under a
   token that was there before as well, and so on: the last in this chain is in the listing. Files
   of their own are listed first, since they go into files of many and never back. A file that is
   gone when it is opened is searched for again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping

from streampca.checkpoint import paths
from streampca.checkpoint.files import Files, Stamp, Unusable

__all__ = ["GENERATION", "Listing"]

GENERATION = ".generation"


class Listing:
    """The files of a store by name.

    Parameters
    ----------
    files : Files
    skip : callable
        Told which file cannot be used, and why.
    """

    def __init__(self, files: Files, skip: Callable[[str, str], None]) -> None:
        self.files, self._skip = files, skip

    def days(self) -> list[str]:
        """The folders of files of many."""
        return [name for name in self.files.folders("day=") if paths.is_day(name)]

    def names(self, folder: str) -> list[str]:
        """What is in a folder, but for hidden files."""
        try:
            found = [entry.name for entry in self.files.entries(folder)]
        except Unusable as error:
            self._skip(folder, str(error))
            return []
        return [name for name in found if not name.startswith((".", "_"))]

    def bundles(self, days: Iterable[str]) -> dict[str, list[str]]:
        """For each of the folders of days its files of many checkpoints, none missed."""
        found: dict[str, list[str]] = {}
        for day, names in self.names_of_days(days).items():
            found[day] = []
            for name in names:
                if paths.parse_bundle_name(name) is None:
                    self._skip(f"{day}/{name}", "its name is not that of a file of checkpoints")
                else:
                    found[day].append(f"{day}/{name}")
        return found

    def names_of_days(self, days: Iterable[str]) -> dict[str, list[str]]:
        """For each of the folders of days the names of its files, none missed."""
        days = list(days)
        if not days:
            return {}
        before = self._generation()
        while True:
            listed = {day: self.names(day) for day in days}
            after = self._generation()
            if before == after:
                return listed
            before = after

    def retire(self, bundles: Iterable[str], singles: Mapping[str, Stamp | None]) -> None:
        """Remove files that others have replaced; those of one checkpoint if still the same."""
        bundles = list(bundles)
        if not bundles and not singles:
            return
        self.files.write(GENERATION, secrets.token_hex(8).encode())
        for relative in bundles:
            self.files.remove(relative)
        for relative, stamp in singles.items():
            if stamp is not None:
                self.files.remove(relative, stamp)
        for folder in sorted({relative.partition("/")[0] for relative in (*bundles, *singles)}):
            self.files.remove_folder(folder)

    def _generation(self) -> bytes:
        try:
            return self.files.read(GENERATION, _any)
        except (FileNotFoundError, Unusable):
            return b""


def _any(*_: object) -> None:
    """Whatever it claims."""
