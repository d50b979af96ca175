"""Leading eigenpairs of a symmetric matrix by the LAPACK that numpy itself brings.

numpy computes all of them, of which a reading uses a few: the vectors are more than half of the
work. Three routines that numpy's own goes through, or could: to tridiagonal form, a few pairs of
that by relatively robust representations (Dhillon, Parlett and Voemel 2006), and back. LAPACK's
driver for some pairs bisects for them instead, which takes a third longer. Where numpy's library
does not show the routines under names that say which integers they take, numpy does it.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays.blas import numpys_library
from streampca.arrays.threads import one_thread

Float64 = NDArray[np.float64]

_NAMES = ("scipy_{}_64_", "{}_64_")  # both say that integers are of 64 bits

_SHARE, _LESS = 6, 10
"""Up to (n - 10) / 6 pairs are asked for; all of them then take no longer. With variances 1 / i and
10 pairs the share of numpy's time was 1.1 at n = 50, 0.8 at 80, 0.5 at 200 and 0.4 at 400."""

_LEAST, _MOST = 1e-200, 1e200
"""Largest entries that are well inside float64; others are left to numpy, which scales first."""

_APART = 1e-12
"""Largest |Z'Z - I| of vectors: 1e-14 are usual."""

_ROUNDINGS = 16
"""Largest residual, in roundings of n times the largest eigenvalue."""


class _Routines(NamedTuple):
    """To tridiagonal form, pairs of that, and back."""

    sytrd: Any
    stemr: Any
    ormtr: Any


def leading_eigh(S: Float64, k: int) -> tuple[Float64, Float64] | None:
    """The k largest eigenvalues (k,) of S (n, n), in descending order, and vectors (n, k).

    S is positive semidefinite, to rounding. None where it is better to ask for all of them, or
    where vectors are not orthonormal, or residuals are more than rounding: both are measured.
    """
    n, routines = len(S), _routines()
    if routines is None or k < 1 or _SHARE * k > n - _LESS:
        return None
    if not _LEAST < S.diagonal().max() < _MOST or not np.isfinite(S).all():
        return None
    with one_thread():
        found = _pairs(routines, S, k)
        return found if found is not None and _sound(S, *found) else None


def _pairs(routines: _Routines, S: Float64, k: int) -> tuple[Float64, Float64] | None:
    n = len(S)
    A = np.array(S.T, "float64", order="F")  # symmetric, and overwritten
    Z = np.empty((n, k), order="F")
    # d, e, tau, values, and what routines work in
    floats, most = np.empty(4 * n + 64 * (n + k) + 4160), 64 * (n + k) + 4160
    whole = np.zeros(8 + 2 * k + 10 * n, np.int64)
    whole[:7] = n, k, n - k + 1, most, 10 * n, 0, 1
    at, place = floats.ctypes.data, whole.ctypes.data
    size, few, first, room, more, count, robust, info = (place + 8 * i for i in range(8))
    support, integers = place + 64, place + 64 + 16 * k
    d, e, tau, values, work = (at + 8 * n * i for i in range(5))
    a, z = A.ctypes.data, Z.ctypes.data
    routines.sytrd(b"L", size, a, size, d, e, tau, work, room, info, 1)
    if whole[7]:
        return None
    routines.stemr(
        *(b"V", b"I", size, d, e, work, work, first, size, count, values, z, size, few),
        *(support, robust, work, room, integers, more, info, 1, 1),
    )
    if whole[7] or whole[5] != k:
        return None
    routines.ormtr(*(b"L", b"L", b"N", size, few, a, size, tau, z, size, work, room, info, 1, 1, 1))
    return floats[3 * n : 3 * n + k][::-1].copy(), np.ascontiguousarray(Z[:, ::-1])


def _sound(S: Float64, values: Float64, Z: Float64) -> bool:
    """Whether these are eigenpairs, to rounding."""
    G = Z.T @ Z
    G.flat[:: len(G) + 1] -= 1.0
    if not np.abs(G).max() <= _APART:
        return False
    R = S @ Z
    R -= Z * values
    allowed = _ROUNDINGS * len(S) * float(np.finfo("float64").eps) * values[0]
    return bool(np.abs(R).max() <= allowed)


@cache
def _routines() -> _Routines | None:
    """The routines; None where numpy's library does not show them."""
    library = numpys_library()
    pointer, letter, length = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    types = {
        "dsytrd": [letter, *[pointer] * 9, length],
        "dstemr": [letter] * 2 + [pointer] * 19 + [length] * 2,
        "dormtr": [letter] * 3 + [pointer] * 10 + [length] * 3,
    }
    for name in _NAMES:
        found: list[Any] = [getattr(library, name.format(r), None) for r in types]
        if None not in found:
            for routine, arguments in zip(found, types.values(), strict=True):
                routine.argtypes, routine.restype = arguments, None
            return _Routines(*found)
    return None
