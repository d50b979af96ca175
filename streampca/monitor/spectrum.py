"""A checkpoint without what only learning needs, that has the same limits all the same."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import to_numpy
from streampca.moments import Moments, moments_from_state

if TYPE_CHECKING:
    from streampca.checkpoint import Checkpoint

SPECTRUM = "spectrum"
"""In place of a kind of moments: the variances along all known directions."""


def known_variances(model: Checkpoint) -> NDArray[np.float64] | None:
    """Variances along all directions that the moments of a model know, largest first."""
    if model.moments_kind == SPECTRUM:
        known: NDArray[np.float64] = np.asarray(model.moments["variances"], "float64")
        return known
    if model.moments_kind not in ("dense", "factored"):
        return None
    values: NDArray[np.float64] = to_numpy(_moments(model).leading(len(model.mean))[1])
    return np.maximum(values, 0.0)


def independent_rows(model: Checkpoint) -> float:
    """How many equal rows say as much as those that a model knows, at most those that it saw.

    A factor on all weights, as that of a silent time, leaves it as it is; so does all of what is
    remembered. Of older checkpoints without moments only the weight is known.
    """
    rows = model.effective_rows
    if rows is None and model.moments_kind in ("dense", "factored"):
        rows = moments_from_state(model.moments_kind, dict(model.moments)).effective_rows
    elif rows is None:  # schema 2 had it beside a spectrum
        rows = float(model.moments.get("n_rows", model.weight))
    return min(float(model.n_samples_seen), rows)


def covariance_of(model: Checkpoint) -> NDArray[np.float64] | None:
    """Covariance of the rows (n, n) in units of the model's scale, where its moments know it."""
    if model.moments_kind != "dense":
        return None
    covariance: NDArray[np.float64] = to_numpy(_moments(model) @ np.eye(len(model.mean)))
    return covariance


def _moments(model: Checkpoint) -> Moments:
    """In units of the model's scale."""
    moments = moments_from_state(model.moments_kind, dict(model.moments))
    return moments if model.scale is None else moments.rescaled(np.asarray(model.scale))


def slim(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with variances and rows in place of its moments: enough for a monitor."""
    variances = known_variances(checkpoint)
    if variances is None:
        return checkpoint.without_moments()
    return dataclasses.replace(
        checkpoint,
        moments_kind=SPECTRUM,
        moments={"variances": variances},
        effective_rows=independent_rows(checkpoint),
    )
