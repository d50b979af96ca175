"""How far components are from the truth: the paper's measures, excess error, principal angles.

Components and reference directions are rows, (p, n), as in `components_`. Everything is computed
in float64 on the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import to_numpy

Float64 = NDArray[np.float64]


class Ratios(NamedTuple):
    """Shares of the reference directions that are among the components."""

    true_positive: float  # Ratio_TP: in their own place
    false_positive: float  # Ratio_FP: in another place
    total: float  # Ratio_Total


def _matrix(components: Any, name: str) -> Float64:
    matrix = np.asarray(to_numpy(components), dtype="float64")
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must be a matrix (p, n) with rows, not of shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        row, feature = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(
            f"{name}: {matrix[row, feature]} in row {row}, feature {feature} cannot be measured; "
            "all values must be finite"
        )
    return matrix


def _pair(components: Any, reference: Any) -> tuple[Float64, Float64]:
    a, b = _matrix(components, "components"), _matrix(reference, "reference")
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"components have {a.shape[1]} features, the reference has {b.shape[1]}: "
            "they cannot be compared"
        )
    return a, b


def _basis(rows: Float64) -> Float64:
    """Orthonormal basis (n, r) of the span of rows (p, n); zero and repeated rows add nothing."""
    cut = max(rows.shape) * np.finfo(float).eps
    if (np.abs(rows @ rows.T - np.eye(len(rows))) <= cut).all():
        return rows.T  # as components are: no decomposition makes them more so
    lengths = np.linalg.norm(rows, axis=1)
    unit = (rows / np.where(lengths > 0, lengths, 1.0)[:, None]).T  # (n, p)
    Q, R = np.linalg.qr(unit)
    if (np.abs(R.diagonal()) > cut).all():
        return np.asarray(Q)
    # QR invents a direction for every dependent row; only the SVD tells them apart
    U, values, _ = np.linalg.svd(unit, full_matrices=False)
    return np.asarray(U[:, values > cut * values[0]])


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
    cosines = np.abs(a @ b.T) / np.where(lengths > 0, lengths, 1.0)
    return np.asarray(np.minimum(cosines, 1.0))  # rounding: an arc cosine of it must exist


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
    """Share of the reference directions that stand in the right place (Ratio_TP)."""
    return ratios(components, reference, threshold).true_positive


def principal_angles(components: Any, reference: Any) -> Float64:
    """Principal angles between two row spaces in radians, smallest first.

    Angles below 45 degrees are taken from their sines, others from their cosines, so that both
    ends are accurate (Bjorck & Golub 1973): cosines alone cannot tell 1e-9 from 0.

    Parameters
    ----------
    components, reference : array of shape (p, n) and (r, n)
        Rows need not be orthonormal. A direction that zero or repeated rows leave out is at a
        right angle to everything.

    Returns
    -------
    ndarray of shape (min(p, r, n),)

    Examples
    --------
    >>> principal_angles([[1.0, 0.0, 0.0]], [[1.0, 1e-9, 0.0]])
    array([1.e-09])
    """
    a, b = _pair(components, reference)
    Qa, Qb = sorted((_basis(a), _basis(b)), key=lambda Q: Q.shape[1], reverse=True)
    C = Qa.T @ Qb
    cosines = np.linalg.svd(C, compute_uv=False)  # largest first: smallest angle first
    sines = np.linalg.svd(Qb - Qa @ C, compute_uv=False)[::-1]
    small = cosines > np.sqrt(0.5)
    angles = np.where(small, np.arcsin(np.clip(sines, 0, 1)), np.arccos(np.clip(cosines, 0, 1)))
    missing = min(*a.shape, len(b)) - len(angles)
    return np.concatenate([angles, np.full(missing, np.pi / 2)])


def excess_variance(components: Any, covariance: Any) -> float:
    """Extra mean squared reconstruction error over that of the best components of the same number.

    The sum of the p leading eigenvalues less the variance that the components' span keeps. With
    the population's covariance it is the population excess, whose ratio to that of batch PCA on
    the same rows is R_ex (1 is perfect); with that of the rows at hand it is the excess over batch
    PCA itself. Rounding may make it slightly negative.

    Parameters
    ----------
    components : array of shape (p, n)
        Rows need not be orthonormal; zero and repeated rows keep nothing.
    covariance : array of shape (n, n)

    Examples
    --------
    >>> import numpy as np
    >>> excess_variance([[0.0, 1.0, 0.0]], np.diag([3.0, 2.0, 1.0]))
    1.0
    """
    return _lost_and_rest(components, covariance)[0]


def excess_error(components: Any, covariance: Any) -> float:
    """`excess_variance` relative to the reconstruction error of the best components.

    Where the best components leave no error (p = n, or a covariance of rank p), it is 0 for
    components that leave none either and infinite for others.

    Examples
    --------
    >>> import numpy as np
    >>> excess_error([[0.0, 1.0, 0.0]], np.diag([3.0, 2.0, 1.0]))
    0.3333333333333333
    """
    lost, rest, rounding = _lost_and_rest(components, covariance)
    if rest > rounding:
        return lost / rest
    return 0.0 if lost <= rounding else float("inf")


def _lost_and_rest(components: Any, covariance: Any) -> tuple[float, float, float]:
    """Variance lost against the best components, variance these leave, and the size of rounding."""
    C, Sigma = _matrix(components, "components"), _matrix(covariance, "covariance")
    if Sigma.shape != (C.shape[1], C.shape[1]):
        raise ValueError(
            f"the covariance has shape {Sigma.shape}, but components have {C.shape[1]} features"
        )
    Q = _basis(C)
    eigenvalues = np.linalg.eigvalsh(Sigma)[::-1]
    p = len(C)
    lost = float(eigenvalues[:p].sum()) - float(np.einsum("ij,ij->", Q, Sigma @ Q))
    rounding = 4 * len(Sigma) * np.finfo(float).eps * float(np.abs(eigenvalues).sum())
    return lost, float(eigenvalues[p:].sum()), rounding


def leading_features(components: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Indices, in order, of the features with the largest loading on any of the components (p, n).

    Examples
    --------
    >>> leading_features(np.array([[0.1, 0.9, 0.0, 0.4]]), 2)
    array([1, 3])
    """
    largest = np.abs(components).max(axis=0)
    return np.sort(np.argsort(-largest, kind="stable")[:count])
