"""How far components are from the truth: the paper's measures, excess error, principal angles.

Components and reference directions are rows, (p, n), as in `components_`. Everything is computed
in float64 on the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca._arrays import to_numpy

Float64 = NDArray[np.float64]


class Ratios(NamedTuple):
    """Shares of the reference directions that were found."""

    true_positive: float  # Ratio_TP: in their own place
    false_positive: float  # Ratio_FP: in another place
    total: float  # Ratio_Total


def _matrix(components: Any, name: str) -> Float64:
    matrix = np.asarray(to_numpy(components), dtype="float64")
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must be a matrix (p, n) with rows, not of shape {matrix.shape}")
    return matrix


def _pair(components: Any, reference: Any) -> tuple[Float64, Float64]:
    a, b = _matrix(components, "components"), _matrix(reference, "reference")
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"components have {a.shape[1]} features, the reference has {b.shape[1]}: "
            "they cannot be compared"
        )
    return a, b


def acs(components: Any, reference: Any) -> Float64:
    """Absolute cosine similarity of every component with every reference direction.

    Parameters
    ----------
    components, reference : array of shape (p, n) and (r, n)
        Rows need not have length 1; a zero row is similar to nothing.

    Returns
    -------
    ndarray of shape (p, r)

    Examples
    --------
    >>> acs([[2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])
    array([[1., 0.]])
    """
    a, b = _pair(components, reference)
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.asarray(np.abs(a @ b.T) / np.where(lengths > 0, lengths, 1.0))


def ratios(components: Any, reference: Any, threshold: float = 0.99) -> Ratios:
    """Ratio_TP, Ratio_FP and Ratio_Total of the paper's experiments.

    A reference direction counts as true positive if the component in its place has an absolute
    cosine above the threshold, and as false positive if only another component has.

    Examples
    --------
    >>> ratios([[0, 1.0, 0], [1.0, 0, 0], [0, 0, 1.0]], [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    Ratios(true_positive=0.3333333333333333, false_positive=0.6666666666666666, total=1.0)
    """
    found = acs(components, reference) > threshold
    places = found.shape[1]
    in_place = np.zeros(places, dtype=bool)
    common = min(found.shape)
    in_place[:common] = found.diagonal()
    elsewhere = found.any(axis=0) & ~in_place
    true, false = in_place.sum() / places, elsewhere.sum() / places
    return Ratios(float(true), float(false), float(true + false))


def ordered_share(components: Any, reference: Any, threshold: float = 0.99) -> float:
    """Share of the reference directions found in the right place (Ratio_TP)."""
    return ratios(components, reference, threshold).true_positive


def principal_angles(components: Any, reference: Any) -> Float64:
    """Principal angles between two row spaces in radians, smallest first.

    Angles below 45 degrees are taken from their sines, others from their cosines, so that both
    ends are accurate (Bjorck & Golub 1973): cosines alone cannot tell 1e-9 from 0.

    Examples
    --------
    >>> principal_angles([[1.0, 0.0, 0.0]], [[1.0, 1e-9, 0.0]])
    array([1.e-09])
    """
    a, b = _pair(components, reference)
    if len(a) < len(b):
        a, b = b, a
    Qa, Qb = np.linalg.qr(a.T)[0], np.linalg.qr(b.T)[0]
    C = Qa.T @ Qb
    cosines = np.linalg.svd(C, compute_uv=False)  # largest first: smallest angle first
    sines = np.linalg.svd(Qb - Qa @ C, compute_uv=False)[::-1]
    small = cosines > np.sqrt(0.5)
    angles = np.where(small, np.arcsin(np.clip(sines, 0, 1)), np.arccos(np.clip(cosines, 0, 1)))
    return np.asarray(angles)


def excess_error(components: Any, covariance: Any) -> float:
    """Extra reconstruction error relative to that of the best components of the same number.

    (sum of the p leading eigenvalues - variance that the components' span keeps) / sum of the
    other eigenvalues. With the population's covariance it is the population excess, with that of
    the rows at hand the excess over batch PCA.

    Parameters
    ----------
    components : array of shape (p, n)
    covariance : array of shape (n, n)

    Examples
    --------
    >>> import numpy as np
    >>> excess_error([[0.0, 1.0, 0.0]], np.diag([3.0, 2.0, 1.0]))
    0.3333333333333333
    """
    C, Sigma = _matrix(components, "components"), _matrix(covariance, "covariance")
    if Sigma.shape != (C.shape[1], C.shape[1]):
        raise ValueError(
            f"the covariance has shape {Sigma.shape}, but components have {C.shape[1]} features"
        )
    Q, _ = np.linalg.qr(C.T)
    eigenvalues = np.linalg.eigvalsh(Sigma)[::-1]
    p = len(C)
    lost = float(eigenvalues[:p].sum()) - float(np.einsum("ij,ij->", Q, Sigma @ Q))
    return lost / max(float(eigenvalues[p:].sum()), np.finfo(float).tiny)
