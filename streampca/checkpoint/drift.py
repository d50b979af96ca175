"""How far components have moved between two checkpoints."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift", "measure"]


class Drift(NamedTuple):
    """How far the components have moved since the previous checkpoint."""

    angle: float
    """Largest principal angle between the two subspaces, in radians."""
    cosines: NDArray[np.float64]
    """|cos| between each component and its predecessor; fewer where there were fewer before."""


def measure(components: NDArray[Any], previous: NDArray[Any]) -> Drift:
    """Drift of components (p, n) from those before (p', n); the first min(p, p') of each."""
    from streampca.metrics import principal_angles

    p = min(len(components), len(previous))
    here, there = components[:p].astype("float64"), previous[:p].astype("float64")
    angle = float(principal_angles(here, there).max())
    return Drift(angle, np.abs(np.einsum("ij,ij->i", here, there)))
