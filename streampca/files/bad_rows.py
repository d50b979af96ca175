"""What happens to rows that cannot be used: the first ends all, or they are skipped, or kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class BadRow(NamedTuple):
    """A row that cannot be used."""

    record: int  # within its chunk
    reason: str  # with the file and the row
    key: Any
    content: dict[str, Any] | None


class BadRows:
    """What happens to bad rows.

    Parameters
    ----------
    mode : str
        "fail", "skip", or the file to write them to, as JSON lines with the reason. A file that
        is there is replaced when all has been read; until then rows are in one of the same name
        with ``.part`` behind it.
    size : int, optional
        How much of the file has been written for good: what a killed run wrote after that is cut.
        None begins it anew.
    """

    def __init__(self, mode: str, size: int | None = None) -> None:
        self.mode = mode
        self.count = 0
        self._file: Any = None
        self._part: str | None = None
        if self.file_of(mode) is None:
            return
        self._place = os.path.realpath(mode)
        part = f"{self._place}.part"
        if size is None or os.path.exists(part):
            self._part = part
        # a complete file, which is gone on with, is only added to
        self._file = open(self._part or self._place, "wb" if size is None else "ab")  # noqa: SIM115
        if size is not None:
            self._file.truncate(min(size, os.fstat(self._file.fileno()).st_size))
            self._file.seek(0, os.SEEK_END)

    @staticmethod
    def file_of(mode: str) -> str | None:
        """The file that a mode names, if it does."""
        return None if mode in ("fail", "skip") else mode

    def __enter__(self) -> BadRows:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(complete=kind is None)
        if kind is not None:
            self.discard()

    def take(self, bad: Sequence[BadRow]) -> None:
        """Deal with some.

        Raises
        ------
        ValueError
            In mode "fail", for the first one.
        """
        for each in bad:
            if self.mode == "fail":
                raise ValueError(
                    f"{each.reason}; correct the row, or pass over it and others like it with "
                    f"--bad-rows skip{_other_way(each.reason)}"
                )
            self.count += 1
            if self._file is not None:
                line: Mapping[str, Any] = {
                    "reason": each.reason,
                    "key": each.key,
                    "row": each.content,
                }
                self._file.write(json.dumps(line, default=str).encode() + b"\n")

    def size(self) -> int:
        """Bytes written, for good from now on."""
        if self._file is None:
            return 0
        self._file.flush()
        os.fsync(self._file.fileno())
        return int(self._file.tell())

    def close(self, *, complete: bool = True) -> None:
        """Close the file; a complete one takes its place."""
        if self._file is None or self._file.closed:
            return
        self._file.close()
        if self._part is not None and complete:
            os.replace(self._part, self._place)

    def discard(self) -> None:
        """Delete a file that is not complete and will not be continued."""
        if self._part is not None:
            Path(self._part).unlink(missing_ok=True)


def _other_way(reason: str) -> str:
    """Advice about a cell, by the fault that `cells` names."""
    if reason.endswith("', not a finite number"):  # a text in quotes
        return "; if such texts stand for missing values, name them with --na, or all with --na '*'"
    return "; --missing impute fills it in while learning" if reason.endswith("is missing") else ""
