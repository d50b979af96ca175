"""How far components have moved between two checkpoints."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.metrics import acs, principal_angles

__all__ = ["Drift", "measure_drift"]

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


def _of_orthonormal(A: NDArray[Any], B: NDArray[Any]) -> Drift | None:
    """The same of a few orthonormal rows (p, n) in a seventh of the time; None where they are not.

    The largest sine is the length by which a direction in the span of B can leave that of A, the
    root of the largest eigenvalue of R R' with R = B - B A' A: exact to eps, however small. Angles
    beyond 45 degrees are left to cosines, as in `principal_angles`.
    """
    p = len(A)
    if A.dtype != np.float64 or B.dtype != np.float64:
        return None
    one = np.eye(p)
    apart = max(np.abs(A @ A.T - one).max(), np.abs(B @ B.T - one).max())
    if not apart <= _ORTHONORMAL:
        return None
    C = B @ A.T
    R = B - C @ A
    sine = float(max(np.linalg.eigvalsh(R @ R.T)[-1], 0.0)) ** 0.5
    if sine > 0.7:
        return None
    return Drift(float(np.arcsin(sine)), np.minimum(np.abs(C.diagonal()), 1.0))
