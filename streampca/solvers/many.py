"""Leading eigenpairs of many small covariances at once, solved directly and certified each.

Few rows are solved in their own space: the eigenproblem of their Gram matrix has as many rows and
columns as there are rows. Its eigenvectors make directions that are orthonormal to eps over the
smallest of the ratios of eigenvalues to the first; where that is not enough, singular values of the
rows are computed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import leading_eigh, one_thread
from streampca.moments import MomentsBank

Float64 = NDArray[np.float64]

_SAFE = 1e-6
"""Least ratio of an eigenvalue to the first at which Gram matrices are trusted: directions are
orthonormal to 2e-10 then, and one Newton step squares that."""


_LARGE = 64
"""Features from which a few eigenpairs of each matrix take less time than all of them of many at
once: with 5 pairs 1.1 of it at 50 features, 0.7 at 80 and 100, 0.6 at 128."""


class Solutions(NamedTuple):
    """What was read off k scatter matrices S; all in units of S."""

    components: Float64  # (k, p, n) orthonormal, ordered; zero where S has no more
    values: Float64  # (k, p)
    residuals: Float64  # (k, p) ||S a - value a|| / first value
    traces: Float64  # (k,)


def solve_many(
    bank: MomentsBank, models: NDArray[np.int64], p: int, factors: Float64 | None = None
) -> Solutions:
    """The p leading eigenpairs of the scatter matrices of these models.

    Features are multiplied by `factors` (k, n) before, if there are any.
    """
    k, n = len(models), bank.n_features
    found = Solutions(np.zeros((k, p, n)), np.zeros((k, p)), np.zeros((k, p)), np.zeros(k))
    with one_thread():
        for which, Z in bank.rows_of_few(models):
            if factors is not None:
                Z = Z * factors[which][:, None]
            unit = _units(np.abs(Z).max(axis=(1, 2), initial=0.0))
            _put(found, which, unit**2, *_of_rows(Z / unit[:, None, None], p))
        for which, S in bank.matrices(models):
            if factors is not None:
                S = (S * factors[which][:, :, None]) * factors[which][:, None]
            unit = _units(np.einsum("kii->ki", S).max(axis=1))
            _put(found, which, unit, *_of_matrices(S / unit[:, None, None], p))
    return found


def _put(
    found: Solutions,
    which: NDArray[np.int64],
    unit: Float64,
    C: Float64,
    values: Float64,
    SC: Float64,
    traces: Float64,
) -> None:
    """Write C (k, q, n), values (k, q) and S times C, in units of `unit` (k,), with residuals."""
    q = C.shape[1]
    found.components[which, :q] = C
    found.values[which, :q] = values * unit[:, None]
    found.traces[which] = traces * unit
    SC = SC - values[:, :, None] * C
    lengths = np.sqrt(np.einsum("kpn,kpn->kp", SC, SC))
    first = values[:, :1] if q else np.zeros((len(which), 1))
    found.residuals[which, :q] = lengths / np.where(first > 0, first, np.inf)


def _of_rows(Z: Float64, p: int) -> tuple[Float64, Float64, Float64, Float64]:
    """Components, eigenvalues, products and traces of Z'Z for rows Z (k, r, n)."""
    q = min(p, Z.shape[1])
    traces = np.einsum("krn,krn->k", Z, Z)
    if q == 0:
        none = np.zeros((len(Z), 0, Z.shape[2]))
        return none, none[:, :, 0], none, traces
    values, W = np.linalg.eigh(Z @ Z.transpose(0, 2, 1))
    values, W = values[:, : -q - 1 : -1], W[:, :, : -q - 1 : -1]
    safe = values[:, -1] > _SAFE * values[:, 0]
    roots = np.sqrt(np.where(safe[:, None], values, 1.0))
    C = (W.transpose(0, 2, 1) @ Z) / roots[:, :, None]
    C = 1.5 * C - 0.5 * (C @ C.transpose(0, 2, 1)) @ C
    unsafe = np.flatnonzero(~safe)
    if len(unsafe):
        _, s, Vt = np.linalg.svd(Z[unsafe], full_matrices=False)
        values, C[unsafe] = values.copy(), Vt[:, :q]
        values[unsafe] = s[:, :q] ** 2
    return C, values, (C @ Z.transpose(0, 2, 1)) @ Z, traces


def _of_matrices(S: Float64, p: int) -> tuple[Float64, Float64, Float64, Float64]:
    """Components, eigenvalues, products and traces of matrices S (k, n, n)."""
    k, n, _ = S.shape
    C, values, rest = np.empty((k, p, n)), np.empty((k, p)), list(range(k))
    if n >= _LARGE:
        pairs = {i: found for i in range(k) if (found := leading_eigh(S[i], p)) is not None}
        for i, (own, V) in pairs.items():
            C[i], values[i] = V.T, own
        rest = [i for i in rest if i not in pairs]
    if rest:
        own, V = np.linalg.eigh(S if len(rest) == k else S[rest])
        C[rest], values[rest] = V[:, :, : -p - 1 : -1].transpose(0, 2, 1), own[:, : -p - 1 : -1]
    return C, values, C @ S, np.einsum("kii->k", S)


def _units(largest: Float64) -> Float64:
    """What brings entries near 1, exactly: squares of 1e-170 or 1e160 leave float64."""
    return np.asarray(2.0 ** np.clip(np.frexp(largest)[1], -500, 500).astype("float64"))
