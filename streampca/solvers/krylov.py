"""Block Lanczos: of all that some gradient steps could reach, the least nested loss.

Knows moments only as an operator (`moments @ V`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streampca._arrays import (
    Array,
    eigh_descending,
    rank_cut,
    to_device,
    to_numpy,
    unit_columns,
    whitener,
    zeros,
)
from streampca.moments.base import Moments

LEAST_DEPTH = 7
"""Blocks after which accuracy is first looked at: by then it grows at the rate that it keeps."""

_ROOM = 12
"""Blocks that there is room for at first."""


class RitzPairs(NamedTuple):
    """What a space knows of the leading eigenpairs."""

    A: Array  # (n, k) float64, orthonormal
    values: Array  # (k,) largest first
    SA: Array  # (n, k) Sigma @ A


def krylov(
    moments: Moments, p: int, k: int, depth: int, tolerance: float, start: Array | None = None
) -> RitzPairs:
    """The k leading Ritz pairs in span{V, Sigma V, Sigma^2 V, ...} of a random V (n, k).

    Block Lanczos with full orthogonalisation, until the residuals of the p first are within
    `tolerance` of the largest value, or there are `depth` blocks. Each block adds a factor of
    about 4 or more to the accuracy of components whose variance is half as large again as that of
    the guards behind them.

    Where there are columns to start from (n, at most k), they stand for the first of V.
    """
    Q = _first(moments, k, start)
    n, device = moments.n_features, moments.device
    basis = products = zeros((n, 0), "float64", device)
    projected = zeros((0, 0), "float64", device)  # basis' Sigma basis
    look = LEAST_DEPTH
    for block in range(1, depth + 1):
        old, new = slice(0, block * k), slice((block - 1) * k, block * k)
        if new.stop > basis.shape[1]:
            room = min(depth, max(2 * block, _ROOM)) * k
            basis, products = _grown(basis, n, room, device), _grown(products, n, room, device)
            projected = _grown(projected, room, room, device)
        basis[:, new] = Q
        products[:, new] = moments @ Q
        B = basis[:, old]
        C = B.T @ products[:, new]  # (block k, k)
        projected[old, new], projected[new, old] = C, C.T
        if block == depth:
            values, W = eigh_descending(projected[old, old])
            break
        R, lengths = unit_columns(products[:, new] - B @ C)
        G = R.T @ R
        if block >= look:
            behind = (G * lengths).T * lengths
            values, W = eigh_descending(projected[old, old])
            worst = _worst(values, W[:, :p], behind)
            if worst <= tolerance:
                break
            look = block + _blocks_left(worst, block, tolerance)
        Q = R @ whitener(G, rank_cut("float64"))
        Q = Q - B @ (B.T @ Q)  # twice is enough, the second time with orthonormal columns
        Q = Q @ whitener(Q.T @ Q, rank_cut("float64"))
    W = W[:, :k]
    return RitzPairs(B @ W, values[:k], products[:, old] @ W)


def _grown(X: Array, n_rows: int, n_columns: int, device: str | None) -> Array:
    """X with zeros below and to the right: how many blocks there will be is not known before."""
    grown = zeros((n_rows, n_columns), "float64", device)
    grown[: X.shape[0], : X.shape[1]] = X
    return grown


def _first(moments: Moments, k: int, start: Array | None) -> Array:
    V = np.random.default_rng(0).normal(size=(moments.n_features, k))
    if start is not None:
        V[:, : start.shape[1]] = to_numpy(start)[:, :k]
    return to_device(np.linalg.qr(V)[0], moments.device)


def _worst(values: Array, W: Array, behind: Array) -> float:
    """The largest ||Sigma a - lambda a|| / lambda_1 of the Ritz pairs (values, basis W).

    What Sigma makes of the space outside of it comes from the last block alone, so `behind` (k, k),
    the Gram matrix of that, says it without a vector of n numbers.
    """
    last = W[-behind.shape[0] :]
    squares = (last * (behind @ last)).sum(axis=0)
    largest = float(values[0])
    return math.sqrt(float(abs(squares).max())) / largest if largest > 0 else 0.0


def _blocks_left(worst: float, block: int, tolerance: float) -> int:
    """Blocks until the tolerance, if accuracy goes on growing as it has since the third."""
    per_block = math.log(min(worst, 0.5)) / (block - 3)
    return math.ceil((math.log(tolerance) - math.log(worst)) / per_block)
