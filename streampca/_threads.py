"""Small eigenproblems run on one thread of the BLAS; products keep all of them.

An eigenproblem passes thousands of small steps between threads, and each waits for the slowest.
Alone on two cores that gains little (784 x 784: a third; below 200: nothing). Beside other busy
processes, which is how workers of a Beam job run, it was seen to take 10 to 100 times as long as
one thread does.
"""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _blas() -> list[Any]:
    """The BLAS libraries of this process; finding them takes milliseconds."""
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


class _OneThread:
    """The number of threads is one of the whole process: the last to leave puts it back."""

    def __init__(self) -> None:
        self._start_afresh()
        os.register_at_fork(after_in_child=self._start_afresh)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[int] = []

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = [blas.num_threads for blas in _blas()]
                self._set([1] * len(self._before))
            self._inside += 1

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._set(self._before)

    def _set(self, numbers: list[int]) -> None:
        for blas, number in zip(_blas(), numbers, strict=True):
            blas.set_num_threads(number)


_one_thread = _OneThread()


def one_thread() -> AbstractContextManager[None]:
    """Return a context in which BLAS works on one thread; 3 microseconds to enter and leave.

    threadpoolctl's own takes ten times as long, and an update enters several.
    """
    return _one_thread
