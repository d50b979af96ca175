"""On how many threads a piece of work is done, by what the machine does and by time.

Knows no clock, no library and no system: it is told how many cores are free, and what pieces took.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from streampca.arrays.arms import SHARE, TwoArms

_WORST = 560.0
"""How many times their share of a piece that is cut in equal parts threads may take that have no
cores of their own: two took 14 times as long as one beside one busy core, and up to 280 times
beside seven processes."""

_FEW = 4
"""Where fewer than one core in so many is free, all threads may do more than as many as those,
although they wait: beside one busy core of two they took 2.5 times as long as on a quiet machine,
and more where products are short."""

_NOT_KNOWN, _NONE_FREE = -1, 0


class Choice(NamedTuple):
    """Two arms: one thread, or so many."""

    arms: TwoArms
    threads: int


class Choices:
    """The choice of threads for each kind and size of work, and what the machine does meanwhile.

    Several threads are no more than there are free cores, where that is known. Then that is what
    decides at first: several where some are free, one where next to none is. Time may show
    otherwise: that several do not pay on free cores (threads of one core, other systems on the same
    machine, small pieces), or that they do where none is free (what runs there gives way). The
    other arm is tried when all so far has taken so long that a trial adds a twentieth at most.
    Where nothing is known of the cores, several threads are tried at once, and what is new begins
    with what has been better in the work before.

    Examples
    --------
    >>> choices = Choices()
    >>> choices.of("dense", 2.0**30, most=8, free=5).threads
    5
    >>> choices.of("dense", 2.0**30, most=8, free=1).arms.preferred
    0
    """

    def __init__(self) -> None:
        self.arms: dict[tuple[str, int, int], TwoArms] = {}
        self._last: dict[int, TwoArms] = {}

    def of(self, kind: str, operations: float, most: int, free: int | None) -> Choice:
        """Arms for work of so many operations, on `most` threads of which cores for `free` are."""
        threads, state = _several(most, free)
        key = (kind, int(operations).bit_length(), state)
        if key not in self.arms:
            self.arms[key] = self._begun(threads, state)
        self._last[state] = self.arms[key]
        return Choice(self.arms[key], threads)

    def last(self, most: int, free: int | None) -> int:
        """Threads for work that is not timed: those that the last that was is done on."""
        threads, state = _several(most, free)
        last = self._last.get(state)
        preferred = _first(state) if last is None else last.preferred
        return threads if preferred == 1 else 1

    def _begun(self, threads: int, state: int) -> TwoArms:
        last = self._last.get(_NOT_KNOWN)
        if state == _NONE_FREE:
            return TwoArms(0, math.ceil(SHARE * (_WORST / threads - 1)))
        if state == _NOT_KNOWN and (last is None or last.preferred == 0):
            return TwoArms(0)
        return TwoArms(1, math.ceil(SHARE * (threads - 1)))  # at most so much longer on one


def _first(state: int) -> int:
    return 1 if state > 0 else 0


def _several(most: int, free: int | None) -> tuple[int, int]:
    """How many threads the second arm has, and what the machine does, as a number.

    Numbers of threads that are within a factor of 2**(1/2) are one: times of pieces are comparable.
    """
    if free is None:
        return most, _NOT_KNOWN
    threads = min(most, free)
    if threads == 1 or _FEW * threads < most:
        return most, _NONE_FREE
    return threads, round(2 * math.log2(threads))
