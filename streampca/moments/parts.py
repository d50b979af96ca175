"""Passes over rows in parts: signed sums, and their scatter."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from streampca._arrays import Array, namespace
from streampca._threads import one_thread


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


_BLOCK = 2**16
"""Numbers of an n x n array that are worked on at once: they stay in the cache of a core."""


def add_scatter(S: Array, Z: Array, signed: Array, V: Array) -> None:
    """S += Z'Z + signed' V in place, for rows Z (m, n) and a few rows V (or none) that centre them.

    `signed` is V times -1 where its outer product is taken away. Products are formed in the dtype
    of the rows; S (n, n) is float64. After Z'Z everything else is done in blocks of rows of S: at
    2,048 rows of 784 features, passes over n x n arrays are an eighth of the time.
    """
    product = Z.T @ Z
    if namespace(Z) is not np:
        S += product
        S += signed.T @ V
        return
    step = max(1, _BLOCK // len(S))
    for start in range(0, len(S), step):
        block = product[start : start + step]
        if len(V):
            block += signed[:, start : start + step].T @ V
        S[start : start + step] += block
