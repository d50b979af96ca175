"""What a history of checkpoints says of a process: how components turned, and what is unusual.

Where rows are not stored, a chart can still be kept of the models: of the variance that they leave
out, and of how far their components turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from streampca.checkpoint import Checkpoint

Float64 = NDArray[np.float64]

_PER_MEAN_RANGE = 2.659574
"""3 / d2, d2 = 1.128: the mean range of two Gaussian values is 1.128 standard deviations."""


class IndividualsChart(NamedTuple):
    """Centre and limits of single values that follow each other."""

    centre: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Trends:
    """A history in numbers, one row a checkpoint; NaN where there is nothing to say."""

    angles: Float64  # (m, p) radians that each component turned since the checkpoint before
    shares: Float64  # (m, p) of the variance
    subspace: Float64  # (m,) radians, the largest principal angle to the checkpoint before
    left_out: Float64  # (m,) share of the variance that the components leave out


def trends(checkpoints: Sequence[Checkpoint]) -> Trends:
    """How components and variances moved over the checkpoints of one key, oldest first.

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
        As `CheckpointStore.history` returns them.

    Returns
    -------
    Trends

    Raises
    ------
    ValueError
        If there is no checkpoint, or they are of several keys or of different features.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> first = StreamingPCA(1).fit(np.diag([2.0, 1.0])).checkpoint()
    >>> second = StreamingPCA(1).fit(np.diag([1.0, 3.0])).checkpoint()
    >>> np.degrees(trends([first, second]).angles).round(1).tolist()
    [[nan], [45.0]]
    """
    from streampca.checkpoint import measure_drift

    _check(checkpoints)
    p = max(len(checkpoint.components) for checkpoint in checkpoints)
    angles, shares = np.full((2, len(checkpoints), p), np.nan)
    subspace = np.full(len(checkpoints), np.nan)
    left_out = np.full(len(checkpoints), np.nan)
    for row, checkpoint in enumerate(checkpoints):
        ratio = checkpoint.explained_variance_ratio
        shares[row, : len(ratio)] = ratio
        left_out[row] = max(1.0 - float(ratio.sum()), 0.0)
    for row, (before, now) in enumerate(pairwise(checkpoints), start=1):
        k = min(len(before.components), len(now.components))
        old, new = before.components[:k].astype("float64"), now.components[:k].astype("float64")
        signs = np.where((old * new).sum(axis=1) < 0, -1.0, 1.0)
        # From the distance and not the cosine, which cannot tell angles below 1e-8 from none.
        chord = np.linalg.norm(new - signs[:, None] * old, axis=1)
        angles[row, :k] = 2 * np.arcsin(np.clip(chord / 2, 0.0, 1.0))
        subspace[row] = measure_drift(new, old).angle
    return Trends(angles, shares, subspace, left_out)


def individuals_chart(values: ArrayLike) -> IndividualsChart | None:
    """Centre and three-sigma limits of a series, from the ranges between neighbours.

    Shewhart's chart for individuals: mean +- 2.66 times the mean moving range. A jump then
    stands out, where it would widen limits taken from the standard deviation.

    Parameters
    ----------
    values : array-like of shape (m,)
        Oldest first; NaN are left out.

    Returns
    -------
    IndividualsChart or None
        None where there are fewer than 3 values, of which nothing can be said.

    Examples
    --------
    >>> [round(value, 2) for value in individuals_chart([10, 12, 11, 13, 12])]
    [11.6, 7.61, 15.59]
    """
    series = np.asarray(values, "float64")
    series = series[~np.isnan(series)]
    if len(series) < 3:
        return None
    centre = float(series.mean())
    reach = _PER_MEAN_RANGE * float(np.abs(np.diff(series)).mean())
    return IndividualsChart(centre, centre - reach, centre + reach)


def same_features(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two checkpoints are of the same features, in the same order."""
    widths = one.components.shape[1], other.components.shape[1]
    return widths[0] == widths[1] and one.feature_names == other.feature_names


def _check(checkpoints: Sequence[Checkpoint]) -> None:
    """Raise if they make no one history."""
    if not checkpoints:
        raise ValueError("there is no checkpoint: the history is empty")
    first = checkpoints[0]
    for other in checkpoints:
        if other.key != first.key:
            raise ValueError(
                f"checkpoints of several keys, {first.key!r} and {other.key!r}: take one key"
            )
        if not same_features(first, other):
            raise ValueError(f"{first!r} and {other!r} do not have the same features")
