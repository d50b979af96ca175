"""How far components have moved between two checkpoints."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.metrics import acs, principal_angles

__all__ = ["Drift", "measure_drift"]


class Drift(NamedTuple):
    """How far the components have moved since the previous checkpoint."""

    angle: float
    """Largest principal angle between the two subspaces, in radians."""
    cosines: NDArray[np.float64]
    """|cos| between each component and its predecessor; fewer where there were fewer before."""


def measure_drift(components: NDArray[Any], previous: NDArray[Any]) -> Drift:
    """Drift of components (p, n) from those before (p', n); the first min(p, p') of each."""
    p = min(len(components), len(previous))
    angle = float(principal_angles(components[:p], previous[:p]).max())
    cosines = acs(components[:p], previous[:p]).diagonal()
    return Drift(angle, np.minimum(cosines, 1.0))  # rounding: an arc cosine of it must exist
