"""Threads of the BLAS: one for small work, one or all for large, whichever has been faster.

Threads share a product in equal parts and wait for the slowest, so a core that is busy with
something else makes all of them slow: 14 times as slow as one thread was seen. Whether that is so
shows in the time that products take alone, so they are timed (`as_pays`). Limits that others have
set (`threadpoolctl`, `OMP_NUM_THREADS`, joblib) are what "all" means, and one thread stays one.

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
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from streampca.arrays.arms import TwoArms

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
        self._several = False  # whether there were more than one before

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = [blas.num_threads for blas in _blas()]
                self._several = any(number != 1 for number in self._before)
                if self._several:
                    self._set([1] * len(self._before))
            self._inside += 1

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._several:
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


# --- one, or all ---------------------------------------------------------------------------------

_LEAST = 2**25
"""Operations (of products X'X of m rows, m n**2) below which one thread does them: less than a
millisecond, of which waking another takes a part."""

_SHORT = 512
"""Rows of square matrices of which a solution takes some milliseconds."""

_ONE, _ALL = 0, 1


class _Choices:
    """The choice of threads for each kind and size of work in this process."""

    def __init__(self) -> None:
        self.arms: dict[tuple[str, int], TwoArms] = {}
        self.last: TwoArms | None = None

    def of(self, kind: str, operations: float) -> TwoArms:
        return self.arms.setdefault((kind, int(operations).bit_length()), TwoArms())


_choices = _Choices()


class _Timed:
    """One piece of work on the threads that are chosen for it."""

    def __init__(self, arms: TwoArms, operations: float) -> None:
        self._arms, self._operations = arms, operations

    def __enter__(self) -> None:
        self._arm = self._arms.choose()
        if self._arm == _ONE:
            _one_thread.__enter__()
        self._start = time.perf_counter()

    def __exit__(self, *raised: object) -> None:
        seconds = time.perf_counter() - self._start
        if self._arm == _ONE:
            _one_thread.__exit__()
        if raised[0] is None:
            self._arms.tell(self._arm, seconds / self._operations)
            _choices.last = self._arms


def _allowed() -> int:
    """Threads that the BLAS may use now."""
    return max((blas.num_threads for blas in _blas()), default=1)


def as_pays(kind: str, operations: float) -> AbstractContextManager[None]:
    """A context for products of so many operations, on one thread or on all that there may be.

    Time for each operation is compared with that of others of the kind and about the size, so work
    in one context must be of one sort. A few microseconds to enter and leave.
    """
    if operations < _LEAST:
        return _one_thread
    return _Timed(_choices.of(kind, operations), operations) if _allowed() > 1 else nullcontext()


def as_last(n: int) -> AbstractContextManager[None]:
    """A context for work that is too varied to be timed, on the threads that products have now.

    On one thread where matrices have up to 512 rows: their products are short.
    """
    last = _choices.last
    if n <= _SHORT:
        return _one_thread
    return _one_thread if last is not None and last.preferred == _ONE else nullcontext()


# --- torch ---------------------------------------------------------------------------------------


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
