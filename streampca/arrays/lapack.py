"""Leading eigenpairs of a symmetric matrix by the LAPACK that numpy itself brings.

numpy computes all of them, of which a reading uses a few: the vectors are more than half of the
work. Where its library does not show the routine under a name that says which integers it takes,
numpy does it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays.blas import numpys_library

Float64 = NDArray[np.float64]

_NAMES = (("scipy_dsyevr_64_", np.int64), ("dsyevr_64_", np.int64))

_SMALL, _SHARE = 80, 10
"""Up to so many rows, or with more than a tenth of the pairs, all of them take no longer: of 10
pairs the share of numpy's time was 0.9 at n = 100, 0.6 at 200, 0.5 at 300 and 0.4 at 784."""


def leading_eigh(S: Float64, k: int) -> tuple[Float64, Float64] | None:
    """The k largest eigenvalues (k,) of S (n, n), in descending order, and vectors (n, k).

    None where it is better to ask for all of them.
    """
    n = len(S)
    routine = _syevr()
    if routine is None or n <= _SMALL or _SHARE * k > n:
        return None
    call, whole = routine
    A = np.array(S.T, "float64", order="F")  # symmetric, and overwritten
    values, Z = np.empty(n), np.empty((n, k), order="F")
    found, support, info = np.zeros(1, whole), np.zeros(2 * n, whole), np.zeros(1, whole)
    work, more = np.empty(40 * n), np.empty(10 * n, whole)
    sizes = {name: np.array([v], whole) for name, v in _sizes(n, k, work, more).items()}
    bound = np.zeros(1)
    call(
        *(b"V", b"I", b"L"),
        *(sizes["n"].ctypes.data, A.ctypes.data, sizes["n"].ctypes.data),
        *(bound.ctypes.data, bound.ctypes.data),
        *(sizes["first"].ctypes.data, sizes["n"].ctypes.data, bound.ctypes.data),
        *(found.ctypes.data, values.ctypes.data, Z.ctypes.data, sizes["n"].ctypes.data),
        *(support.ctypes.data, work.ctypes.data, sizes["work"].ctypes.data),
        *(more.ctypes.data, sizes["more"].ctypes.data, info.ctypes.data),
        *(1, 1, 1),  # lengths of the letters, as Fortran passes them
    )
    if info[0] or found[0] != k or not np.isfinite(Z).all():
        return None
    return values[:k][::-1].copy(), np.ascontiguousarray(Z[:, ::-1])


def _sizes(n: int, k: int, work: NDArray[Any], more: NDArray[Any]) -> dict[str, int]:
    return {"n": n, "first": n - k + 1, "work": len(work), "more": len(more)}


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
