"""Random combinations of rows, where directions so far are few or blind: how a sketch begins."""

from __future__ import annotations

import numpy as np

from streampca.arrays import (
    Array,
    cast,
    is_tensor,
    namespace,
    orthonormal,
    orthonormal_beside,
    to_device,
)
from streampca.moments import sketch
from streampca.moments.centre import CentredRows
from streampca.moments.compress import Compressed, Directions, stack
from streampca.moments.directions import PROBES, sketched_directions

_COLD_STEPS = 3
"""Sketches of the same rows, each through the directions of the last, while there are few to
begin from; one is enough later."""


def begun(old: Directions, rows: CentredRows, n_samples: int, dtype: str) -> sketch.Sketch:
    """A sketch of the directions so far, and at combinations of these rows.

    The combinations are there since what no row shares with the directions so far, say in features
    that were silent until now, has no part in Z'Z A and would never appear.
    """
    U = cast(old.U, dtype)
    n, q = U.shape
    draws = np.random.default_rng(n_samples)  # the same rows give the same bits
    signs = _signs(draws, rows.n_rows, old.U)
    P = cast(rows.combined(signs, min(PROBES, n - q)), dtype)
    P = orthonormal_beside(P - U @ (U.T @ P), U)
    looking = sketched_directions(q)
    return sketch.begin(namespace(U).concatenate([U[:, :looking], P], axis=1))


def cold(old: Directions, rows: CentredRows, n_samples: int) -> Compressed:
    """From fewer than q directions: random combinations of the rows stand in for the others."""
    draws = np.random.default_rng(n_samples)
    q, k = old.s.shape[0], rows.n_rows
    signs = _signs(draws, k * q, old.U).reshape(k, q)
    Y = cast(rows.combine(signs * q**-0.5), rows.dtype)
    A = orthonormal(Y) if n_samples == 0 else cast(stack(old, Y.T).kept.U, rows.dtype)
    for _ in range(_COLD_STEPS - 1 if k > n_samples else 0):
        A = orthonormal(sketch.add(sketch.begin(A), rows).Y)
    return sketch.compress(old, sketch.add(sketch.begin(A), rows))


def _signs(draws: np.random.Generator, count: int, like: Array) -> Array:
    """Random signs (count,), of the type of an array and beside it."""
    signs = 2.0 * draws.integers(0, 2, count, dtype=np.int8) - 1.0
    dtype = str(like.dtype).removeprefix("torch.")
    return to_device(signs.astype(dtype), str(like.device) if is_tensor(like) else None)
