"""Leading eigenpairs of a symmetric matrix by the LAPACK that numpy itself brings.

numpy computes all of them, of which a reading uses a few: the vectors are more than half of the
work. Where its library does not show the routine under a name that says which integers it takes,
numpy does it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays.blas import numpys_library

Float64 = NDArray[np.float64]

_NAMES = (("scipy_dsyevr_64_", np.int64), ("dsyevr_64_", np.int64))

_SMALL, _SHARE = 16, 10
"""Up to so many rows, or with more than a tenth of the pairs, all of them take no longer: of 10
pairs the share of numpy's time was 0.9 at n = 100, 0.6 at 200, 0.5 at 300 and 0.4 at 784; of 2
pairs 0.6 at n = 24, 0.5 at 40 and 0.4 at 50."""

_KEPT = 128
"""Rows up to which memory to work in is kept: making it takes as long as the routine at n = 32."""


class _Place(NamedTuple):
    """Memory that the routine reads and writes, for one n and k, and where it lies."""

    A: Float64  # (n, n) overwritten
    values: Float64  # (n,)
    Z: Float64  # (n, k)
    found: NDArray[Any]
    info: NDArray[Any]
    pointers: tuple[int, ...]
    kept: tuple[NDArray[Any], ...]  # what else the pointers point to


_places = threading.local()


def leading_eigh(S: Float64, k: int) -> tuple[Float64, Float64] | None:
    """The k largest eigenvalues (k,) of S (n, n), in descending order, and vectors (n, k).

    None where it is better to ask for all of them.
    """
    n = len(S)
    routine = _syevr()
    # of NaN the routine counts more pairs than there is room for
    if routine is None or n <= _SMALL or _SHARE * k > n or not np.isfinite(S).all():
        return None
    call, whole = routine
    place = _place(n, k, whole)
    np.copyto(place.A, S.T)  # symmetric
    # what is left of another matrix must not be taken for this one's
    place.Z.fill(np.nan)
    place.found[0] = 0
    call(b"V", b"I", b"L", *place.pointers, 1, 1, 1)  # lengths of the letters, as Fortran has them
    Z = place.Z[:, ::-1].copy(order="C")
    if place.info[0] or place.found[0] != k or not np.isfinite(Z).all():
        return None
    return place.values[:k][::-1].copy(), Z


def _place(n: int, k: int, whole: Any) -> _Place:
    """Memory to work in, which each thread has of its own."""
    if n > _KEPT:
        return _made(n, k, whole)
    known = _places.__dict__.setdefault("known", {})
    if (n, k) not in known:
        if len(known) >= 16:
            known.clear()
        known[n, k] = _made(n, k, whole)
    place: _Place = known[n, k]
    return place


def _made(n: int, k: int, whole: Any) -> _Place:
    A, values, Z = np.empty((n, n), order="F"), np.empty(n), np.empty((n, k), order="F")
    found, support, info = np.zeros(1, whole), np.zeros(2 * n, whole), np.zeros(1, whole)
    # Where it counts no pair among equal values, the routine writes to the number before the first:
    # there is room around what it is told of.
    work, more, bound = np.empty(42 * n)[n:-n], np.empty(12 * n, whole)[n:-n], np.zeros(1)
    size, first, n_work, n_more = (
        np.array([value], whole) for value in (n, n - k + 1, len(work), len(more))
    )
    order = (
        *(size, A, size, bound, bound, first, size, bound),
        *(found, values, Z, size, support, work, n_work, more, n_more, info),
    )
    pointers = tuple(array.ctypes.data for array in order)
    return _Place(A, values, Z, found, info, pointers, order)


@cache
def _syevr() -> tuple[Callable[..., None], Any] | None:
    """The routine, and its integers; None where numpy's library does not show it."""
    library = numpys_library()
    for name, whole in _NAMES:
        routine = getattr(library, name, None)
        if routine is not None:
            letters, size = [ctypes.c_char_p] * 3, [ctypes.c_size_t] * 3
            routine.argtypes = [*letters, *[ctypes.c_void_p] * 18, *size]
            routine.restype = None
            return routine, whole
    return None
