"""A model of n features becomes one of more: what the new ones are like at first is their mean.

Works on checkpoints, which are data, so neither estimator nor moments need to know of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streampca._options import resolve
from streampca.moments import moments_from_state

if TYPE_CHECKING:
    from streampca.checkpoint import Checkpoint

Arrays = dict[str, NDArray[Any]]


def widened(
    checkpoint: Checkpoint, means: NDArray[np.float64], n_components: int | float | None
) -> Checkpoint:
    """The checkpoint with more features behind its own.

    Rows seen so far count as having had the new features' means: a feature that was not there
    says nothing about variance, and its mean is best estimated from where it was there. Old
    components keep their loadings and have none on the new features.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of n features, without names.
    means : ndarray of shape (k,)
        Means of the new features.
    n_components : int, float or None
        What the wider model is to have.
    """
    k = len(means)
    p, n = checkpoint.components.shape
    settings = {**checkpoint.settings, "n_components": n_components}
    options = resolve(settings, n + k)
    # a wider model may have more components: the new axes, without variance as yet
    more = max(min(options.n_components, n + k) - p, 0) if isinstance(n_components, int) else 0
    components = np.zeros((p + more, n + k), checkpoint.components.dtype)
    components[:p, :n] = checkpoint.components
    components[np.arange(p, p + more), np.arange(n, n + more)] = 1.0
    kind, moments = _moments(checkpoint, means, options.memory, options.n_directions)
    return replace(
        checkpoint,
        mean=np.concatenate([checkpoint.mean, means]),
        components=components,
        decoder=components.T,
        encoder=components,
        explained_variance=_longer(checkpoint.explained_variance, more),
        explained_variance_ratio=_longer(checkpoint.explained_variance_ratio, more),
        residuals=_longer(checkpoint.residuals, more),
        moments_kind=kind,
        moments=moments,
        settings=settings,
    )


def _longer(x: NDArray[Any], more: int, axis: int = 0) -> NDArray[Any]:
    width = [(0, 0)] * x.ndim
    width[axis] = (0, more)
    return np.pad(x, width)


def _moments(
    checkpoint: Checkpoint, means: NDArray[np.float64], kind: str, q: int
) -> tuple[str, Arrays]:
    """State of the wider moments, factored from here on if n has outgrown dense ones."""
    k = len(means)
    old: Arrays = dict(checkpoint.moments)
    new = old | {"mean": np.concatenate([old["mean"], means])}
    if checkpoint.moments_kind == "dense" and kind == "factored":
        dense = moments_from_state("dense", old)
        vectors, values = dense.leading(min(q + 1, dense.n_features))
        values = np.maximum(values, 0.0) * dense.denominator
        del new["scatter"]
        dtype = "float32" if old["single_precision"] else "float64"
        new |= {
            "directions": vectors[:, :q].astype(dtype),
            "eigenvalues": values[:q],
            "squares": np.diagonal(old["scatter"]),
            "lost": values[q:] if len(values) > q else np.zeros(1),
        }
    elif checkpoint.moments_kind == "dense":
        return "dense", new | {"scatter": _longer(_longer(old["scatter"], k), k, axis=1)}
    directions = new["directions"]
    grow = max(q - directions.shape[1], 0)
    return "factored", new | {
        "directions": _longer(_longer(directions, k), grow, axis=1),
        "eigenvalues": _longer(new["eigenvalues"], grow),
        "squares": _longer(new["squares"], k),
    }
