"""Small eigenproblems run on one thread of the BLAS; products keep all of them.

An eigenproblem passes thousands of small steps between threads, and each waits for the slowest.
Alone on two cores that gains little (784 x 784: a third; below 200: nothing). Beside other busy
processes, which is how workers of a Beam job run, it was seen to take 10 to 100 times as long as
one thread does.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _blas() -> Any:
    """The BLAS libraries of this process; finding them takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS works on one thread; 10 microseconds to enter and leave."""
    limit: AbstractContextManager[Any] = _blas().limit(limits=1)
    return limit
