"""Products with rows, and passes over them in parts: signed sums."""

from __future__ import annotations

from itertools import pairwise

from streampca.arrays import Array, is_tensor, namespace, one_thread, torch


def alike(X: Array, V: Array) -> tuple[Array, Array]:
    """X and V in one dtype: products of tensors take no other, numpy finds it by itself."""
    if is_tensor(X) and X.dtype != V.dtype:
        dtype = torch.promote_types(X.dtype, V.dtype)
        return X.to(dtype), V.to(dtype)
    return X, V


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
