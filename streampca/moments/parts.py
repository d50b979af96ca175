"""Passes over rows in parts: signed sums."""

from __future__ import annotations

from itertools import pairwise

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
