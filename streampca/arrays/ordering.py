"""Sign and completion of components: what keeps them comparable from one solve to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_CLEARLY = 0.8
"""Cosine from which no other of orthonormal components can be nearer: theirs are at most 0.6."""


def completed(A: Float64) -> Float64:
    """A (n, p) with its zero columns filled by unit vectors orthogonal to the others.

    Directions that the stream has not shown yet have zero variance, so any orthonormal choice is
    right; this one depends on the other columns alone. Each new column starts from the coordinate
    axis that the columns so far cover least (at most r / n of its squared length), so it never
    vanishes.
    """
    missing = np.flatnonzero(np.einsum("ij,ij->j", A, A) < 0.5)
    if missing.size == 0:
        return A
    A = A.copy()
    A[:, missing] = 0.0
    covered = np.einsum("ij,ij->i", A, A)  # (n,)
    for column in missing:
        axis = int(covered.argmin())
        v = -(A @ A[axis])
        v[axis] += 1.0
        v -= A @ (A.T @ v)  # twice is enough
        v /= np.linalg.norm(v)
        A[:, column] = v
        covered += v * v
    return A


def oriented(components: Float64, previous: NDArray[Any] | None) -> Float64:
    """Components (p, n) with the sign of the previous component that each resembles most.

    A component without a previous one gets the deterministic rule: its largest loading, by
    magnitude, is positive.
    """
    if previous is not None and previous.shape == components.shape:
        own = np.einsum("ij,ij->i", components, previous)
        if np.abs(own).min() > _CLEARLY:
            return np.asarray(components * np.sign(own)[:, None])
    rows = np.arange(components.shape[0])
    signs = np.sign(components[rows, np.abs(components).argmax(axis=1)])
    if previous is not None and previous.shape[0]:
        cosines = components @ previous.T.astype("float64")  # (p, p_previous)
        nearest = cosines[rows, np.abs(cosines).argmax(axis=1)]
        signs = np.where(np.abs(nearest) > 0.1, np.sign(nearest), signs)
    return components * np.where(signs == 0, 1.0, signs)[:, None]
