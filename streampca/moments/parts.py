"""Products with rows, and passes over them in parts: signed sums."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np

from streampca.arrays import Array, dtype_name, is_tensor, namespace, one_thread, torch

_MOST_ONES = 2**14
"""Ones that are kept."""


def alike(X: Array, V: Array) -> tuple[Array, Array]:
    """X and V in one dtype: products of tensors take no other, numpy finds it by itself."""
    if is_tensor(X) and X.dtype != V.dtype:
        dtype = torch.promote_types(X.dtype, V.dtype)
        return X.to(dtype), V.to(dtype)
    return X, V


@cache
def _ones(dtype: str) -> Array:
    ones = np.ones(_MOST_ONES, dtype)
    ones.flags.writeable = False
    return ones


def ones(n_rows: int, dtype: str) -> Array:
    """So many ones, (n_rows,), not to be written to."""
    return _ones(dtype)[:n_rows] if n_rows <= _MOST_ONES else np.ones(n_rows, dtype)


def parts(n_rows: int, count: int) -> list[slice]:
    """`count` slices of about the same length that cover n_rows."""
    bounds = [n_rows * i // count for i in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def signed_sums(signs: Array, Z: Array, pieces: list[slice]) -> tuple[Array, Array]:
    """Sums of the rows of each piece times their signs, (n, pieces), and sums of the signs."""
    xp = namespace(signs)
    with one_thread():  # passes over memory: a second thread saves little
        sums = xp.stack([signs[piece] @ Z[piece] for piece in pieces], 1)
    return sums, xp.stack([signs[piece].sum() for piece in pieces])


def one_less(Z: Array, m: int) -> Array:
    """Rows with the same Z'Z, one less where the first m of them add up to zero.

    Rows about their own mean do, and what tells rows apart would have to find that out. With P the
    reflection that takes v = (1, ..., 1) / m^(1/2) to minus the first axis, (P Z)'(P Z) is Z'Z; the
    first of the rows P Z is -v'Z, rounding, and row i is z_i - (z_1 + v'Z) / (m^(1/2) + 1).
    """
    if m < 2 or namespace(Z) is not np:
        return Z
    root = m**0.5
    along = (np.ones(m, Z.dtype) @ Z[:m]) / root  # v'Z
    least = (4 * float(np.finfo(dtype_name(Z)).eps)) ** 2
    with np.errstate(over="ignore", invalid="ignore"):
        if not float(along @ along) <= least * float(np.vdot(Z[:m], Z[:m])):
            return Z
    fewer = Z[1:] * 1.0
    fewer[: m - 1] -= (Z[0] + along) / (root + 1.0)
    return fewer
