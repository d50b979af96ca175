"""Which checkpoints of a key stay when old ones go: restic's and borg's rules.

This room knows times and numbers, and no files.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import numpy as np

from streampca.checkpoint.bundle_index import Name
from streampca.rows import is_whole

__all__ = ["Retention"]

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_UNITS = {"s": _SECOND, "min": 60 * _SECOND, "h": _HOUR, "d": _DAY, "w": 7 * _DAY, "y": 365 * _DAY}
_DURATION = re.compile(r"(\d{1,9})\s*(s|min|h|d|w|y)")
_MONDAY = 4 * _DAY  # 1970 began on a Thursday


def _calendar(unit: str) -> Callable[[int], int]:
    return lambda time: int(np.datetime64(time, "us").astype(f"datetime64[{unit}]").astype("int64"))


_STRETCHES: dict[str, Callable[[int], int]] = {
    "hourly": lambda time: time // _HOUR,
    "daily": lambda time: time // _DAY,
    "weekly": lambda time: (time - _MONDAY) // (7 * _DAY),
    "monthly": _calendar("M"),
    "yearly": _calendar("Y"),
}


class Most(NamedTuple):
    """How many stretches, or for how long before the newest checkpoint."""

    number: int | None = None
    micros: int | None = None


class Retention(NamedTuple):
    """Rules for what stays; a checkpoint stays if any of them says so.

    Each is a number, or a time such as "365d" before the newest checkpoint of the same key.

    Examples
    --------
    >>> rules = Retention.of(last=2, daily="30d")
    >>> hours = [Name(hour * 3_600_000_000, 0) for hour in (1, 2, 25, 26, 27)]
    >>> [name.window_end // 3_600_000_000 for name in sorted(rules.staying(hours))]
    [2, 26, 27]
    """

    last: Most
    stretches: tuple[tuple[str, Most], ...]

    @classmethod
    def of(cls, **rules: Any) -> Retention:
        """From `last`, `hourly`, `daily`, `weekly`, `monthly`, `yearly`; None is no rule.

        Raises
        ------
        ValueError
            If one is neither a number above 0 nor a time, or if there is none.
        """
        read = {name: _most(name, value) for name, value in rules.items() if value is not None}
        if not read:
            raise ValueError("prune needs a rule for what to keep, such as keep_hourly='365d'")
        last = read.pop("last", Most(number=0))
        return cls(last, tuple(read.items()))

    @staticmethod
    def resumed(names: Collection[Name]) -> set[Name]:
        """The newest, and the one written last: late rows may have made that of an older window."""
        newest = max(names, key=lambda name: name.order)
        return {newest, max(names, key=lambda name: (name.sequence, name.order))}

    def staying(self, names: Iterable[Name]) -> set[Name]:
        """Those of one key's checkpoints that stay.

        The newest always does, and the one that was written last, from which learning goes on. Of
        those outside windows only a rule for the last lets any go. Hours and days are those of UTC
        in which a window's last instant lies.
        """
        ordered = sorted(names, key=lambda name: name.order)
        if not ordered:
            return set()
        stay = self.resumed(ordered)
        newest = ordered[-1].window_end
        if self.last.number is not None:
            stay.update(ordered[max(0, len(ordered) - self.last.number) :])
        if self.last == Most(number=0) or self.last.micros is not None:
            stay.update(name for name in ordered if name.window_end is None)
        if newest is None:
            return stay
        timed = [(name, end) for name in ordered if (end := name.window_end) is not None]
        if self.last.micros is not None:
            stay.update(name for name, end in timed if end > newest - self.last.micros)
        for rule, most in self.stretches:
            # the last of each stretch, oldest stretch first
            ends = {_STRETCHES[rule](end - 1): name for name, end in timed}
            chosen = list(ends.values())
            if most.number is not None:
                chosen = chosen[-most.number :]
            if most.micros is not None:
                oldest = newest - most.micros
                chosen = [name for name in chosen if name.order > Name(oldest, 2**63).order]
            stay.update(chosen)
        return stay


def _most(name: str, value: Any) -> Most:
    if isinstance(value, datetime.timedelta):
        micros = value // datetime.timedelta(microseconds=1)
        if micros > 0:
            return Most(micros=micros)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if is_whole(value) and int(value) >= 1:
        return Most(number=int(value))
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None and int(found[1]) > 0:
        return Most(micros=int(found[1]) * _UNITS[found[2]])
    raise ValueError(
        f"keep_{name}={value!r} is not accepted: give how many, such as 24, or a time before the "
        "newest checkpoint, such as '12h', '365d', '8w' or '2y'"
    )
