"""The ordered minimum of the nested loss for Y != X, straight from Sxx and Syx (Theorem 1).

A = U_p and B = U_p' Syx Sxx^-1, where U holds the eigenvectors of Sigma = Syx Sxx^-1 Sxy. Float64
numpy on the host; knows nothing of where the moments come from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import completed

Float64 = NDArray[np.float64]


class Pairs(NamedTuple):
    """Ordered pairs of a decoder's column and an encoder's row."""

    decoder: Float64  # (n, p) A, orthonormal
    encoder: Float64  # (p, n') B; zero rows beyond the rank of Sigma
    singular_values: Float64  # (p,) roots of the eigenvalues of Sigma, largest first
    rank: int  # directions of X that Sxx^-1 was taken on


def solve_pairs(
    Sxx: Float64, Syx: Float64, p: int, *, ridge: float = 0.0, precision: str = "float64"
) -> Pairs:
    """The p leading pairs, ordered.

    Parameters
    ----------
    Sxx : ndarray of shape (n', n')
        Second moment of the inputs.
    Syx : ndarray of shape (n, n')
        Moments of the targets with the inputs.
    p : int
        Number of pairs, at most n. Beyond the rank of Sigma the columns of A are orthonormal in
        its kernel and the rows of B are zero (Remark 9).
    ridge : float
        Added to the diagonal of Sxx.
    precision : {"float32", "float64"}
        Type in which the products that make up the moments were formed.

    Notes
    -----
    Sigma is never formed: its root M = Syx Sxx^(-1/2) is, whose singular values keep the digits
    that eigenvalues of M M' would lose. Features are scaled to a unit diagonal of Sxx first, so
    that the rank does not depend on their units; directions whose eigenvalue then lies below
    (n' + 100) eps of the largest are rounding (see `loss.best_encoder`) and are left out: among
    equally good coefficients, the smallest in standardised features.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = solve_pairs(np.eye(2), np.array([[0.0, 1.0], [3.0, 0.0]]), 1)
    >>> np.abs(pairs.decoder.ravel()), pairs.singular_values
    (array([0., 1.]), array([3.]))
    """
    n = len(Syx)
    lengths = np.sqrt(np.clip(Sxx.diagonal() + ridge, 0.0, None))  # (n',)
    scale = np.where(lengths > 0, 1.0 / np.where(lengths > 0, lengths, 1.0), 0.0)
    correlation = Sxx * scale[:, None] * scale
    correlation[np.diag_indices_from(correlation)] = (lengths > 0).astype("float64")
    values, V = np.linalg.eigh(correlation)
    cut = (len(Sxx) + 100) * float(np.finfo(precision).eps)
    keep = values > cut * max(float(values[-1]), 0.0)
    whitener = scale[:, None] * V[:, keep] * values[keep] ** -0.5  # (n', r), Sxx^(-1/2) on range
    M = Syx @ whitener  # (n, r)
    U, s, Wt = np.linalg.svd(M, full_matrices=False)
    # below this there is only the rounding of the singular value decomposition itself
    found = s > max(M.shape) * np.finfo("float64").eps * s.max(initial=0.0)
    r = min(p, int(found.sum()))
    A, B, singular_values = np.zeros((n, p)), np.zeros((p, len(Sxx))), np.zeros(p)
    A[:, :r], singular_values[:r] = U[:, :r], s[:r]
    B[:r] = s[:r, None] * (Wt[:r] @ whitener.T)
    return Pairs(completed(A), B, singular_values, int(keep.sum()))
