"""What time leaves of what was learned: half after each half-life."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from streampca.moments import LEAST_WEIGHT

__all__ = ["remembered"]


@overload
def remembered(elapsed: float, half_life: float) -> float: ...
@overload
def remembered(elapsed: NDArray[Any], half_life: float) -> NDArray[np.float64]: ...
def remembered(elapsed: Any, half_life: float) -> Any:
    """The share that is left after so much time; after any time, more than nothing.

    Examples
    --------
    >>> remembered(2.0, half_life=1.0)
    0.25
    """
    share = 0.5 ** (elapsed / half_life)
    several = isinstance(share, np.ndarray)
    return np.maximum(share, LEAST_WEIGHT) if several else max(share, LEAST_WEIGHT)
