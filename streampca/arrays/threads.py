"""Small eigenproblems run on one thread of the BLAS; products with rows keep all of them.

An eigenproblem passes thousands of small steps between threads, and each waits for the slowest.
Alone on two cores that gains little (784 x 784: a third; below 200: nothing). Beside other busy
processes, which is how workers of a Beam job run, it was seen to take 10 to 100 times as long as
one thread does.

torch has threads of its own, which spin for some milliseconds after each operation on the cores
that the BLAS needs next, and the other way round: a first-order step on 784 features and 10
components took 14 ms on two threads of each, and takes 1 ms where torch keeps to one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_SHARED = 2**22
"""Numbers from which torch's own threads save more than they cost: 10,000 x 100 takes half as long
on one thread, 100,000 x 50 a twelfth longer."""


@cache
def _blas() -> list[Any]:
    """The BLAS libraries of this process; finding them takes milliseconds."""
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


class _OneThread:
    """The number of threads belongs to the process: the last to leave puts it back."""

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


@cache
def _openmp() -> list[Any]:
    """The OpenMP libraries of this process, torch's among them."""
    return list(ThreadpoolController().select(user_api="openmp").lib_controllers)


@contextmanager
def one_torch_thread(numbers: int) -> Iterator[None]:
    """A context in which torch works on this many numbers on the CPU without its other threads.

    OpenMP is told, since that counts for the calling thread alone. `torch.set_num_threads` would
    also count for every thread that comes to use torch meanwhile, and for good. (Who has called
    that himself has told MKL, too, which then keeps his number for products.)
    """
    before = [openmp.num_threads for openmp in _openmp()]
    if numbers > _SHARED or max(before, default=1) == 1:
        yield
        return
    try:
        for openmp in _openmp():
            openmp.set_num_threads(1)
        yield
    finally:
        for openmp, number in zip(_openmp(), before, strict=True):
            openmp.set_num_threads(number)
