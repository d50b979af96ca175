"""Block Lanczos: of all that some gradient steps could reach, the least nested loss.

Knows moments only as an operator (`moments @ V`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streampca.arrays import (
    Array,
    eigh_descending,
    frobenius,
    made_orthonormal,
    orthonormal_beside,
    to_device,
    to_numpy,
    unit_columns,
    zeros,
)
from streampca.moments import Moments
from streampca.solvers.proof import Whole, shows_all

BLOCK = 8
"""Columns of a block, however many components: 16 or 24 take up to 1.5 times as many columns in all
to the same accuracy; fewer would hardly cost less each. (Eigenvalues that agree to rounding more
than 8 times may be missed, which is what `Moments.misses` is for.)"""

_BETWEEN = 4
"""Blocks between the first test and the second, which tell how many are needed."""


class RitzPairs(NamedTuple):
    """What a space knows of the leading eigenpairs."""

    A: Array  # (n, k) float64, orthonormal
    values: Array  # (k,) largest first
    SA: Array  # (n, k) Sigma @ A
    all_there: bool  # whether the space itself shows that no larger value was missed


def first_look(p: int) -> int:
    """Columns with which accuracy is first tested; most spectra need 1.1 to 2.4 times as many.

    It grows faster and faster: from fewer columns the number needed would be guessed too large.
    """
    return BLOCK * math.ceil(2.2 * p / BLOCK + 3)


def room(p: int) -> int:
    """Columns for two tests and as many blocks again: fewer are no use."""
    return first_look(p) + 2 * _BETWEEN * BLOCK


def krylov(
    moments: Moments, p: int, k: int, most: int, tolerance: float, start: Array | None = None
) -> RitzPairs | None:
    """The k leading Ritz pairs in span{V, Sigma V, Sigma^2 V, ...} of a random V (n, BLOCK).

    Block Lanczos with full orthogonalisation, until the residuals of the p first are within
    `tolerance` of the largest value. None as soon as that would take more than `most` columns.

    Where there are columns to start from (n, any), V is random combinations of these.
    """
    Q = _first(moments, start)
    n, device = moments.n_features, moments.device
    basis = products = zeros((n, 0), "float64", device)
    projected = zeros((0, 0), "float64", device)  # basis' Sigma basis
    look, seen, worst_seen = first_look(p), 0, 1.0
    for held in range(BLOCK, most + 1, BLOCK):
        old, new = slice(0, held), slice(held - BLOCK, held)
        if held > basis.shape[1]:
            columns = min(most, max(2 * held, room(p)))
            basis = _grown(basis, n, columns, device)
            products = _grown(products, n, columns, device)
            projected = _grown(projected, columns, columns, device)
        basis[:, new] = Q
        products[:, new] = moments @ Q
        B = basis[:, old]
        C = B.T @ products[:, new]  # (held, BLOCK)
        projected[old, new], projected[new, old] = C, C.T
        R, lengths = unit_columns(products[:, new] - B @ C)
        G = R.T @ R
        if held >= look:
            values, W = eigh_descending(projected[old, old])
            largest = float(values[0])
            if largest <= 0:  # nothing remembered
                return RitzPairs(B @ W[:, :k], values[:k], products[:, old] @ W[:, :k], True)
            behind = (G * (lengths / largest)).T * (lengths / largest)
            worst = _worst(W[:, :p], behind)
            if worst <= tolerance:
                SB = products[:, old]
                shown = _shown(moments, values, W, p, behind, SB, tolerance)
                return RitzPairs(B @ W[:, :k], values[:k], SB @ W[:, :k], shown)
            blocks = _BETWEEN if not seen else _left(worst, worst_seen, held - seen, tolerance)
            look, seen, worst_seen = held + BLOCK * blocks, held, worst
            if look > most:
                return None
        # twice is enough, the second time with orthonormal columns
        Q = orthonormal_beside(made_orthonormal(R, G)[0], B)
    return None


def _grown(X: Array, n_rows: int, n_columns: int, device: str | None) -> Array:
    """X with zeros below and to the right: how many blocks there will be is not known before."""
    grown = zeros((n_rows, n_columns), "float64", device)
    grown[: X.shape[0], : X.shape[1]] = X
    return grown


def _first(moments: Moments, start: Array | None) -> Array:
    draws = np.random.default_rng(0)
    V = draws.normal(size=(moments.n_features, BLOCK))
    if start is not None:
        A = to_numpy(start)
        # and a little of everything, since they do not contain what they are blind to
        V = A @ draws.normal(size=(A.shape[1], BLOCK)) + 1e-3 * V
    return to_device(np.linalg.qr(V)[0], moments.device)


def _worst(W: Array, behind: Array) -> float:
    """The largest ||Sigma a - lambda a|| / lambda_1 of the Ritz vectors a = basis W.

    What Sigma makes of the space outside of it comes from the last block alone, so `behind`, the
    Gram matrix of that over lambda_1^2, says it without a vector of n numbers.
    """
    last = W[-behind.shape[0] :]
    return math.sqrt(float(abs((last * (behind @ last)).sum(axis=0)).max()))


def _shown(
    moments: Moments, values: Array, W: Array, p: int, behind: Array, SB: Array, tolerance: float
) -> bool:
    """Whether the space shows that Sigma has no other value above the p-th."""
    norm, largest = moments.norm, float(values[0])
    if norm is None:
        return False
    whole = Whole(moments.n_features, moments.total_variance / largest, norm / largest)
    return shows_all(values / largest, W, p, behind, frobenius(SB / largest), whole, tolerance)


def _left(worst: float, before: float, columns: int, tolerance: float) -> int:
    """Blocks until the tolerance, at a little more than the rate of the last columns: it grows."""
    rate = max(math.log(before / worst), 1e-9) / columns
    return math.ceil(0.8 * math.log(worst / tolerance) / rate / BLOCK)
