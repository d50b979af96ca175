"""A proof that a Krylov space has missed no larger eigenvalue, from what it knows already.

With A the p leading Ritz vectors, all others of the space and all that is outside of it have

    [ Theta   F' ]
    [ F       D  ]

left of Sigma. Nothing larger than mu is in there if D < mu, and mu - Theta - F' (mu - D)^-1 F is
positive definite (Schur). Theta and F'F are small and known, and the largest eigenvalue of D
is bounded by its trace and its norm (Wolkowicz and Styan 1980), which are what is left of those of
Sigma. So where eigenvalues decay, no product with Sigma and no n x n factor are needed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streampca.arrays import Array, to_numpy


class Whole(NamedTuple):
    """What is known of all of Sigma (n, n), in units of its largest eigenvalue."""

    n_features: int
    trace: float
    norm: float  # Frobenius


def largest_eigenvalue(n: int, trace: float, squares: float) -> float:
    """Bound on the eigenvalues of a positive semidefinite (n, n) matrix.

    `squares` is the sum of the squares of its entries.
    """
    if n <= 0:
        return 0.0
    spread = max(squares - trace**2 / n, 0.0) * (n - 1) / n
    return min(trace / n + math.sqrt(spread), math.sqrt(squares))


def shows_all(
    values: Array, W: Array, p: int, behind: Array, image: float, of: Whole, tolerance: float
) -> bool:
    """Whether no eigenvalue beside the p leading Ritz values exceeds the last of these.

    All values are in units of the largest.

    Parameters
    ----------
    values, W : array of shape (k,) and (k, k)
        Eigenpairs of B' Sigma B for the orthonormal basis B (n, k), largest first.
    p : int
        Ritz vectors that are eigenvectors to within the tolerance.
    behind : array of shape (b, b)
        Gram matrix of what Sigma makes of the last b columns of B outside of the space; of the
        others it makes nothing there.
    image : float
        Frobenius norm of Sigma B.
    of : Whole
        What is known of Sigma.
    tolerance : float
        How much the last value may be exceeded by.

    Returns
    -------
    bool
        False says nothing: there may be none all the same.
    """
    theta, W, behind = to_numpy(values), to_numpy(W), to_numpy(behind)
    inside = float(theta @ theta)
    # sums of n**2 squares, and their differences
    rounding = of.n_features * float(np.finfo("float64").eps) * of.norm**2
    outside = max(image**2 - inside, 0.0)  # of Sigma B
    squares = max(of.norm**2 - inside - 2 * outside, 0.0) + rounding
    trace = max(of.trace - float(theta.sum()), 0.0)
    d = largest_eigenvalue(of.n_features - len(theta), trace, squares)
    # what basis vectors lost as rounding when they were made orthonormal is not in `behind`
    lost = math.sqrt(max(outside - float(np.trace(behind)), 0.0) + rounding)
    mu = float(theta[p - 1]) + tolerance - lost
    if d >= mu:
        return False
    last = W[-len(behind) :, p:]  # (b, k - p)
    K = np.diag(mu - theta[p:]) - last.T @ behind @ last / (mu - d)
    try:
        np.linalg.cholesky(K)
    except np.linalg.LinAlgError:
        return False
    return True
