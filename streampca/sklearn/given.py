"""A checkpoint made of arrays that somebody has: components, mean, variances.

Arrays of a principal component analysis are what factored moments remember, so that learning goes
on from them. Nothing here knows where they came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca import Checkpoint, StreamingPCA
from streampca.moments import (
    FactoredMoments,
    Moments,
    default_directions,
    make_moments,
    moments_from_state,
)
from streampca.rows import Minibatch


def checkpoint_of(
    components: NDArray[Any],
    mean: NDArray[Any],
    explained_variance: NDArray[Any],
    *,
    n_samples: int,
    feature_variance: NDArray[Any] | None = None,
    settings: Mapping[str, Any],
) -> Checkpoint:
    """Return the checkpoint of a model that consists of these arrays.

    Parameters
    ----------
    components : ndarray of shape (p, n)
        Directions; they are used as they are, orthonormal or not.
    mean : ndarray of shape (n,)
        Mean of the rows.
    explained_variance : ndarray of shape (p,)
        Variance along each.
    n_samples : int
        Rows that the model counts for.
    feature_variance : ndarray of shape (n,), optional
        Variance of each feature (unbiased); without it, there is none but along the components.
    settings : dict
        Parameters of the estimator that will go on.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> arrays = np.eye(2, 3), np.ones(3), np.array([4.0, 1.0])
    >>> known = checkpoint_of(*arrays, n_samples=9, settings={"n_components": 2})
    >>> StreamingPCA.from_checkpoint(known).transform([[3.0, 1.0, 1.0]])
    array([[2., 0.]])
    """
    C = np.asarray(components)
    C = C if C.dtype in (np.float32, np.float64) else C.astype("float64")
    variances = np.asarray(explained_variance, "float64")
    center = bool(settings.get("center", True))
    moments = _moments(C, np.asarray(mean, "float64"), variances, n_samples, center)
    along = total_variance = float(variances.sum())
    if feature_variance is not None:
        squares = np.asarray(feature_variance, "float64") * moments.denominator
        beyond = max(0.0, float(squares.sum()) - along * moments.denominator)
        state = moments.state() | {"squares": squares, "lost": np.array([beyond])}
        moments = moments_from_state("factored", state)
        total_variance = moments.total_variance
    return Checkpoint(
        n_samples_seen=n_samples,
        weight=float(n_samples),
        effective_rows=moments.effective_rows,
        mean=moments.mean,
        components=C,
        explained_variance=variances,
        explained_variance_ratio=variances / (total_variance or 1.0),
        total_variance=total_variance,
        decoder=C.T,
        encoder=C,
        residuals=np.zeros(len(C)),
        discarded_variance=max(0.0, total_variance - along),
        moments_kind="factored",
        moments=moments.state(),
        settings=settings,
    )


def _moments(
    C: NDArray[Any],
    mean: NDArray[np.float64],
    variances: NDArray[np.float64],
    n_samples: int,
    center: bool,
) -> Moments:
    """Factored moments with this mean whose covariance is C' diag(variances) C."""
    p, n = C.shape
    kind = {"n_directions": min(n, max(p, default_directions(p))), "dtype": C.dtype.name}
    counted = make_moments("factored", n, center=center, **kind)
    if n_samples:  # one row that stands for all of them
        counted.update(Minibatch(np.zeros((1, n), C.dtype), np.array([float(n_samples)])))
    # Rows whose scatter about zero is that of the rows about their mean.
    about_zero = make_moments("factored", n, center=False, **kind)
    roots = np.sqrt(variances * counted.denominator).astype(C.dtype)
    about_zero.update(Minibatch(roots[:, None] * C))
    second = {name: about_zero.state()[name] for name in FactoredMoments._second_names}
    exact = {"n_samples": np.int64(n_samples), "mean": mean}
    return moments_from_state("factored", counted.state() | second | exact)


def estimator_of(checkpoint: Checkpoint) -> StreamingPCA:
    """An estimator whose model is the checkpoint's to the bit, orthonormal or not."""
    pca = StreamingPCA.from_checkpoint(checkpoint)
    learner = pca._started_learner
    learner._solved = replace(checkpoint._model, denominator=learner.moments.denominator)
    return pca


def with_mean(pca: StreamingPCA, mean: Any) -> StreamingPCA:
    """Give a fitted estimator another mean; what it remembers about the mean stays."""
    learner = pca._started_learner
    with learner.lock:
        learner.flush()
        learner.moments.move_mean(np.asarray(mean, "float64") - learner.moments.mean)
        learner._solved = None
    return pca


def with_noise(pca: StreamingPCA, noise: float) -> StreamingPCA:
    """Give a fitted estimator another noise variance, until it learns."""
    learner = pca._started_learner
    with learner.lock:
        model = learner.model()
        left_out = min(model.components.shape[1], model.n_copies) - len(model.components)
        total = float(model.eigenvalues.sum()) + float(noise) * max(left_out, 0)
        learner._solved = replace(model, total_variance=total)
    return pca


def with_signs(pca: StreamingPCA, components: Any) -> bool:
    """Turn components round where these are their negatives; False where they are no such thing."""
    learner = pca._started_learner
    given = np.asarray(components)
    with learner.lock:
        own = learner.model().components
        if given.shape != own.shape:
            return False
        signs = np.where(np.einsum("ij,ij->i", given, own) < 0, -1.0, 1.0)
        if not np.array_equal(given, signs[:, None].astype(own.dtype) * own):
            return False
        learner._previous, learner._solved = given.copy(), None
    return True
