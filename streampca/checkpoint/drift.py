"""How far components have moved between two checkpoints."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.metrics import acs, principal_angles

__all__ = ["Drift", "measure_drift", "measure_drifts"]

_ORTHONORMAL = 1e-13
"""Entries of C C' - I up to which rows are orthonormal but for rounding."""


class Drift(NamedTuple):
    """How far the components have moved since the previous checkpoint."""

    angle: float
    """Largest principal angle between the two subspaces, in radians."""
    cosines: NDArray[np.float64]
    """|cos| between each component and its predecessor; fewer where there were fewer before."""


def measure_drift(components: NDArray[Any], previous: NDArray[Any]) -> Drift:
    """Drift of components (p, n) from those before (p', n); the first min(p, p') of each."""
    p = min(len(components), len(previous))
    quick = _of_orthonormal(components[:p], previous[:p])
    if quick is not None:
        return quick
    angle = float(principal_angles(components[:p], previous[:p]).max())
    cosines = acs(components[:p], previous[:p]).diagonal()
    return Drift(angle, np.minimum(cosines, 1.0))  # rounding: an arc cosine of it must exist


def measure_drifts(components: NDArray[Any], previous: NDArray[Any]) -> list[Drift]:
    """Drift of each of some components (t, p, n) from those before, the first from `previous`."""
    t, p, _ = components.shape
    if previous.shape != components.shape[1:] or not components.dtype == previous.dtype == "f8":
        before = [previous, *components[:-1]]
        return [measure_drift(*each) for each in zip(components, before, strict=True)]
    A = components
    B = np.concatenate([previous[None], A[:-1]])
    C = B @ A.transpose(0, 2, 1)
    R = B - C @ A
    sines = np.sqrt(_largest_of_each(R @ R.transpose(0, 2, 1)))
    unit = np.eye(p)
    rounding = np.abs(A @ A.transpose(0, 2, 1) - unit).max(axis=(1, 2))
    rounding_before = np.append(np.abs(previous @ previous.T - unit).max(), rounding[:-1])
    quick = (np.maximum(rounding, rounding_before) <= _ORTHONORMAL) & (sines <= 0.7)
    angles = np.arcsin(np.where(quick, sines, 0.0)).tolist()
    cosines = np.minimum(np.abs(np.diagonal(C, axis1=1, axis2=2)), 1.0)
    return [
        Drift(angles[i], cosines[i]) if quick[i] else measure_drift(A[i], B[i]) for i in range(t)
    ]


def _of_orthonormal(A: NDArray[Any], B: NDArray[Any]) -> Drift | None:
    """The same of a few orthonormal rows (p, n) in a tenth of the time; None where they are not.

    The largest sine is the length by which a direction in the span of B can leave that of A, the
    root of the largest eigenvalue of R R' with R = B - B A' A: exact to eps, however small. Angles
    beyond 45 degrees are left to cosines, as in `principal_angles`.
    """
    p = len(A)
    if A.dtype != np.float64 or B.dtype != np.float64:
        return None
    rows = np.concatenate([A, B])
    G = rows @ rows.T
    C = G[p:, :p].copy()
    G[p:, :p] = G[:p, p:] = 0.0
    G.flat[:: 2 * p + 1] -= 1.0
    if not np.abs(G).max() <= _ORTHONORMAL:
        return None
    R = B - C @ A
    sine = _largest(R @ R.T) ** 0.5
    if sine > 0.7:
        return None
    return Drift(math.asin(sine), np.minimum(np.abs(C.diagonal()), 1.0))


def _largest_of_each(S: NDArray[Any]) -> NDArray[np.float64]:
    """The same of Gram matrices (t, p, p)."""
    if S.shape[1] > 2:
        return np.maximum(np.linalg.eigvalsh(S)[:, -1], 0.0)
    a, d, b = S[:, 0, 0], S[:, -1, -1], S[:, 0, -1]
    return a if S.shape[1] == 1 else 0.5 * (a + d) + np.hypot(0.5 * (a - d), b)


def _largest(S: NDArray[np.float64]) -> float:
    """The largest eigenvalue of a Gram matrix."""
    if len(S) > 2:
        return max(float(np.linalg.eigvalsh(S)[-1]), 0.0)
    a, d, b = float(S[0, 0]), float(S[-1, -1]), float(S[0, -1])
    return a if len(S) == 1 else 0.5 * (a + d) + math.hypot(0.5 * (a - d), b)
