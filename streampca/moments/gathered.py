"""Factored memory that sums its rows as n x n, where so many directions are no fewer numbers.

Directions cost by the cube of their number, in each sketch of some thousand rows; sums cost by the
square of the features for each row, whatever is kept, and leave nothing out until directions are
written down. Pure functions: directions in, sums out, and back.
"""

from __future__ import annotations

import numpy as np

from streampca.arrays import cast
from streampca.moments.compress import Compressed, Directions, leading_pairs
from streampca.moments.scatter import FEW_FEATURES, Scatter

_SHARE = 2 / 7
"""Share of the features from which directions are too many for sketches. Measured with 1,000
features and calls of 1,000 rows: microseconds a row by sketches, of the first 4,000 rows and of
60,000, with 216 directions 43 and 13, 312 83 and 22, 424 168 and 35, 616 310 and 54; by sums 10
with any. But directions are then written down as those of all features, 0.2 s: with 216 that is
five times what it takes after a sketch, with 312 twice, with 424 no more."""

MOST_FEATURES = 2048
"""Features up to which sums are taken: 32 MiB, and half of that while rows wait. They are at most
3.5 times what directions and a sketch are. With more, writing directions down takes long."""


def gathers(n_features: int, n_directions: int) -> bool:
    """Whether rows are summed as n x n; few features cost next to nothing either way."""
    return FEW_FEATURES < n_features <= MOST_FEATURES and n_directions >= _SHARE * n_features


def begun(old: Directions) -> Scatter:
    """The sum of the rows that directions say."""
    n = old.U.shape[0]
    if not old.s.any():
        return Scatter(np.zeros((n, n)))
    U = cast(old.U, "float64")
    return Scatter((U * old.s) @ U.T)


def compressed(gathered: Scatter, n_directions: int) -> Compressed:
    """The leading directions of a sum."""
    values, W, lost = leading_pairs(gathered.whole, n_directions)
    return Compressed(Directions(W, values), lost)
