"""One of two ways of doing work, by the time that each has taken. Knows no clock and no work.

Which way is faster depends on what else the machine does, and that changes: so the other one is
tried anew now and then, the less often the more it lost.
"""

from __future__ import annotations

import math

_FIRST, _MOST = 8, 1024
"""Pieces of work from one trial of the other arm to the next: twice as many after each that it
loses."""

SHARE = 20.0
"""A trial that takes k times as long as the arm in use comes at most once in 20 (k - 1) pieces, so
that all of them together cost a twentieth. (Threads that wait for each other took 14 times as long
beside one busy core.)"""

_BETTER = 0.95
"""Share of the time below which the other arm is faster, twice in a row: less is noise."""

_SLOWED = 1.5
"""How many times its usual time the second arm may take, twice in a row, before the first one is
tried at once: somebody else has begun to use its cores."""

_WEIGHT = 0.25
"""Weight of the last time in the usual one."""


class TwoArms:
    """Chooses arm 0 or 1 for each piece of work, and is told how long it took.

    Parameters
    ----------
    preferred
        The arm to begin with.
    until_trial
        Pieces before the other one is tried for the first time. The first piece of all pays for
        what is done once.

    Examples
    --------
    >>> arms, taken = TwoArms(), (2.0, 1.0)
    >>> for _ in range(100):
    ...     arm = arms.choose()
    ...     arms.tell(arm, taken[arm])
    >>> arms.preferred
    1
    """

    def __init__(self, preferred: int = 0, until_trial: int = 2) -> None:
        self.preferred = preferred
        self._usual = math.inf  # time of the preferred arm
        self._until_trial = until_trial
        self._interval = _FIRST
        self._in_a_row = 0  # trials that the other arm has won, or slow pieces

    @property
    def tries(self) -> bool:
        """Whether the next piece is a trial of the arm that is not in use."""
        return self._until_trial <= 0

    def choose(self) -> int:
        """The arm for the next piece."""
        return 1 - self.preferred if self.tries else self.preferred

    def dismiss(self, times: float) -> None:
        """No trial: it would take so many times as long as the arm in use."""
        self._lost(times * self._usual)

    def tell(self, arm: int, time: float) -> None:
        """How long a piece took with this arm, in any unit that pieces share."""
        if arm == self.preferred:
            self._go_on(time)
        elif time < _BETTER * self._usual:
            self._won(arm, time)
        else:
            self._lost(time)

    def _go_on(self, time: float) -> None:
        self._until_trial -= 1
        slow = self.preferred == 1 and time > _SLOWED * self._usual
        self._in_a_row = self._in_a_row + 1 if slow else 0
        if self._in_a_row >= 2:
            self._until_trial, self._interval, self._in_a_row = 0, _FIRST, 0
            self._usual = time
        elif not slow:
            known = self._usual < math.inf
            self._usual = self._usual + _WEIGHT * (time - self._usual) if known else time
            if self._interval == _FIRST:  # the first pieces, and those after a change
                self._usual = min(self._usual, time)

    def _won(self, arm: int, time: float) -> None:
        self._in_a_row += 1
        if self._in_a_row >= 2:
            self.preferred, self._usual = arm, time
            self._until_trial = self._interval = _FIRST
            self._in_a_row = 0

    def _lost(self, time: float) -> None:
        self._in_a_row = 0
        self._interval = min(2 * self._interval, _MOST)
        lost = min(time / self._usual - 1.0, float(_MOST)) if self._usual > 0 else 0.0
        self._until_trial = max(self._interval, math.ceil(SHARE * lost))
