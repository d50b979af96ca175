"""Passes over rows in parts: sums of squares, and signed sums."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from streampca._arrays import Array, cast, namespace
from streampca._threads import one_thread


def column_squares(Z: Array) -> Array:
    """Sum of squares of each column, (n,) float64 over float32 sums of a few hundred rows."""
    if namespace(Z) is not np:
        return cast(torch.linalg.vector_norm(Z, dim=0), "float64") ** 2  # one pass, no copy
    squares = np.zeros(Z.shape[1])
    for start in range(0, Z.shape[0], 256):
        part = Z[start : start + 256]
        squares += np.einsum("ij,ij->j", part, part)
    return squares


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
