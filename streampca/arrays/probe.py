"""Whether threads get cores, by products so small that little is lost where they do not.

A piece of work is many products, in each of which threads wait for each other: beside other work
one piece was seen to take 280 times as long on two threads as on one, a second of waiting.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS, _TIMES = 256, 12
"""Products of square matrices: a few tenths of a millisecond each, some milliseconds together."""

_WAITING = 2.0
"""How many times as long as on one thread all so far may take: more is waiting. Less than one is
not wanted of them, for they are too small for many threads."""


def waits(several: AbstractContextManager[None], one: AbstractContextManager[None]) -> float:
    """How many times as long as on one thread products take on several, or 0 if these do not wait.

    After the first product that shows it there is no other.
    """
    A = np.ones((_ROWS, _ROWS), "float32")
    with one:
        alone = min(_seconds(A) for _ in range(3))
    spent = 0.0
    with several:
        for count in range(1, _TIMES + 1):
            spent += _seconds(A)
            # the first wakes the threads
            if spent > _WAITING * alone * (count + 1):
                return spent / (alone * count)
    return 0.0


def _seconds(A: NDArray[Any]) -> float:
    start = time.perf_counter()
    _ = A @ A
    return time.perf_counter() - start
