"""Threads of the BLAS: one for small work, one or several for large, as the machine allows.

Threads share a product in equal parts and wait for the slowest, so a core that is busy with
something else makes all of them slow: 14 times as slow as one thread was seen. So there are no more
of them than free cores (crowd.py), and products are timed, too (`as_pays`, choices.py). Limits that
others have set (`threadpoolctl`, `OMP_NUM_THREADS`, joblib) are the most there may be, and one
thread stays one.

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
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from streampca.arrays.choices import Choice, Choices
from streampca.arrays.crowd import Crowd, cores, cores_without
from streampca.arrays.probe import waits

_SHARED = 2**22
"""Numbers from which torch's own threads save more than they cost: 10,000 x 100 takes half as long
on one thread, 100,000 x 50 a twelfth longer."""


@cache
def _blas() -> list[Any]:
    """The BLAS libraries of this process; finding them takes milliseconds."""
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


class _Limits:
    """The number of threads belongs to the process: the least of those wanted inside, of all.

    The last to leave puts it back.
    """

    def __init__(self) -> None:
        self._start_afresh()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_afresh)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._inside: list[int] = []
        self._before: list[int] = []
        self._now: list[int] | None = []

    def enter(self, limit: int) -> None:
        with self._lock:
            if not self._inside and self._now is not None:
                self._before = self._now = [blas.num_threads for blas in _blas()]
            self._set_to(min([limit, *self._inside]))
            self._inside.append(limit)  # last: who is broken off before does not leave

    def leave(self, limit: int) -> None:
        with self._lock:
            self._inside.remove(limit)
            self._set_to(min(self._inside, default=sys.maxsize))

    def _set_to(self, limit: int) -> None:
        numbers = [min(number, limit) for number in self._before]
        if numbers != self._now:
            self._now = None  # who is broken off leaves any: the next one sets them
            for blas, number in zip(_blas(), numbers, strict=True):
                blas.set_num_threads(number)
            self._now = numbers


_limits = _Limits()


class _Limited:
    """BLAS works on so many threads inside, or fewer; 3 microseconds to enter and leave."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def __enter__(self) -> None:
        _limits.enter(self._limit)

    def __exit__(self, *raised: object) -> None:
        _limits.leave(self._limit)


_one_thread = _Limited(1)


def one_thread() -> AbstractContextManager[None]:
    """Return a context in which BLAS works on one thread; 3 microseconds to enter and leave.

    threadpoolctl's own takes ten times as long, and an update enters several.
    """
    return _one_thread


# --- one, or several -----------------------------------------------------------------------------

_LEAST = 2**25
"""Operations (of products X'X of m rows, m n**2) below which one thread does them: less than a
millisecond, of which waking another takes a part."""

_SHORT = 512
"""Rows of square matrices of which a solution takes some milliseconds."""


_choices, _crowd = Choices(), Crowd()


class _Timed:
    """One piece of work on the threads that are chosen for it."""

    def __init__(self, choice: Choice, operations: float) -> None:
        self._arms, self._operations = choice.arms, operations
        if self._arms.tries and self._arms.preferred == 0:
            times = waits(_Limited(choice.threads), _one_thread)
            if times > 0:
                self._arms.dismiss(times)
        self._arm = self._arms.choose()
        self._limit = choice.threads if self._arm == 1 else 1

    def __enter__(self) -> None:
        _limits.enter(self._limit)
        self._start = time.perf_counter()

    def __exit__(self, *raised: object) -> None:
        seconds = time.perf_counter() - self._start
        _limits.leave(self._limit)
        if raised[0] is None:
            self._arms.tell(self._arm, seconds / self._operations)


def _most(libraries: list[Any]) -> int:
    """Threads that libraries may use now, one for each core that this process may use."""
    allowed = max((library.num_threads for library in libraries), default=1)
    return min(allowed, cores()) if allowed > 1 else 1


def as_pays(kind: str, operations: float) -> AbstractContextManager[None]:
    """A context for products of so many operations, on one thread or on as many as pay.

    Time for each operation is compared with that of others of the kind and about the size, so work
    in one context must be of one sort. Some ten microseconds to enter and leave.
    """
    most = _most(_blas()) if operations >= _LEAST else 1
    if most == 1:
        return _one_thread
    return _Timed(_choices.of(kind, operations, most, free_cores()), operations)


def as_last(n: int) -> AbstractContextManager[None]:
    """A context for work that is too varied to be timed, on the threads that products have now.

    On one thread where matrices have up to 512 rows: their products are short.
    """
    most = _most(_blas()) if n > _SHORT else 1
    return _one_thread if most == 1 else _Limited(_choices.last(most, free_cores()))


_THIN = 32
"""Columns up to which a thin product takes no longer than a pass that reads and writes the rows."""


def beside_passes(columns: int) -> AbstractContextManager[None]:
    """A context for a product of rows with so many columns, beside passes over the rows.

    It goes by what is to be done alone, so that the same rows give the same bits: where columns are
    few, threads would save little and wait for each other.
    """
    return _one_thread if columns <= _THIN else nullcontext()


def free_cores() -> int | None:
    """Cores that nobody else uses now, or None where that is not known."""
    others = _crowd.others()
    return None if others is None else cores_without(others)


# --- torch ---------------------------------------------------------------------------------------


@cache
def _openmp() -> list[Any]:
    """The OpenMP libraries of this process, torch's among them."""
    return list(ThreadpoolController().select(user_api="openmp").lib_controllers)


@contextmanager
def one_torch_thread(numbers: int) -> Iterator[None]:
    """A context in which torch works on this many numbers on the CPU on one thread, where few.

    Where they are many, on no more threads than there are free cores.

    OpenMP is told, since that counts for the calling thread alone. `torch.set_num_threads` would
    also count for every thread that comes to use torch meanwhile, and for good. (Who has called
    that himself has told MKL, too, which then keeps his number for products.)
    """
    before = [openmp.num_threads for openmp in _openmp()]
    most = _most(_openmp())
    wanted = 1 if numbers <= _SHARED else min(most, free_cores() or most)
    if wanted >= max(before, default=1):
        yield
        return
    try:
        for openmp, number in zip(_openmp(), before, strict=True):
            openmp.set_num_threads(min(number, wanted))
        yield
    finally:
        for openmp, number in zip(_openmp(), before, strict=True):
            openmp.set_num_threads(number)
