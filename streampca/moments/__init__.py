"""What is remembered of the stream: one file for each kind, one contract in base.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streampca.arrays import device_name
from streampca.moments.bank import MomentsBank
from streampca.moments.base import LEAST_WEIGHT, Moments
from streampca.moments.dense import DenseMoments
from streampca.moments.directions import PROBES, default_directions, sketched_directions
from streampca.moments.factored import SKETCHED, FactoredMoments
from streampca.moments.few import dense_of_few
from streampca.moments.implicit import look
from streampca.moments.minibatch import MinibatchMoments
from streampca.moments.scatter import FEW_FEATURES, ROWS_TOGETHER
from streampca.moments.series import Series, after_each
from streampca.moments.stream import is_constant
from streampca.moments.tally import PART, Tally
from streampca.moments.thin import pays

__all__ = [
    "FEW_FEATURES",
    "LEAST_WEIGHT",
    "PART",
    "PROBES",
    "ROWS_TOGETHER",
    "SKETCHED",
    "DenseMoments",
    "FactoredMoments",
    "MinibatchMoments",
    "Moments",
    "MomentsBank",
    "Series",
    "Tally",
    "after_each",
    "default_directions",
    "dense_of_few",
    "is_constant",
    "look",
    "make_moments",
    "moments_from_state",
    "pays",
    "sketched_directions",
]

_KINDS: dict[str, type[Moments]] = {
    "dense": DenseMoments,
    "factored": FactoredMoments,
    "minibatch": MinibatchMoments,
}


def make_moments(
    kind: str,
    n_features: int,
    *,
    n_directions: int | None = None,
    center: bool = True,
    dtype: str = "float32",
    device: object = None,
) -> Moments:
    """Return empty moments.

    Parameters
    ----------
    kind : {"dense", "factored", "minibatch"}
        What is remembered: all of Sigma, its leading directions, or the last minibatch.
    n_features : int
        Number of features n.
    n_directions : int, optional
        Number of directions q that factored moments keep; the other kinds take none.
    center : bool
        Whether Sigma is taken about the running mean (else about zero).
    dtype : {"float32", "float64"}
        Type in which products with the rows are formed; sums are float64 always.
    device : optional
        None for numpy on the CPU, else a torch device.

    Raises
    ------
    ValueError
        If the kind is unknown, or factored moments are not told how many directions to keep.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca.rows import Minibatch
    >>> moments = make_moments("dense", 2, dtype="float64")
    >>> moments.update(Minibatch(np.array([[1.0, 0.0], [3.0, 0.0]])))
    >>> moments.mean, moments.variance
    (array([2., 0.]), array([2., 0.]))
    """
    if kind not in _KINDS:
        raise ValueError(f"memory kind {kind!r} is unknown: use one of {sorted(_KINDS)}")
    options: dict[str, Any] = {"center": center, "dtype": dtype, "device": device_name(device)}
    if kind == "factored":
        if n_directions is None:
            raise ValueError("factored moments need n_directions, the number of directions kept")
        return FactoredMoments(n_features, n_directions, **options)
    return _KINDS[kind](n_features, **options)


def moments_from_state(kind: str, state: Mapping[str, Any], *, device: object = None) -> Moments:
    """Rebuild moments from what `Moments.state` returned; arrays are copied.

    Raises
    ------
    ValueError
        If the kind is unknown, an array is missing, or shapes do not fit each other.
    """
    if kind not in _KINDS:
        raise ValueError(f"memory kind {kind!r} is unknown: use one of {sorted(_KINDS)}")
    return _KINDS[kind].from_state(state, device=device_name(device))
