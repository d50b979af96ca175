"""The exact step: gradient descent on the nested loss with the best matrix-valued step.

The gradient at an ordered orthonormal A spans, with A, the space V = span{A, Sigma A}. Minimising
L over all decoders inside V is, by the theorem applied to V' Sigma V, a small eigenproblem. The
previous direction P is added to V, as LOBPCG does (Knyazev 2001). No learning rate.

Knows moments only as an operator (`moments @ V`), as something that can be solved directly where
that is cheap, and as a witness that no larger direction was missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from streampca._arrays import (
    Array,
    cast,
    eigh_descending,
    namespace,
    orthogonal_part,
    rank_cut,
    unit_columns,
    whitener,
)
from streampca.moments.base import Moments
from streampca.solvers.krylov import LEAST_DEPTH, krylov

TOLERANCE = 1e-11
"""Residual ||Sigma a - lambda a|| / lambda_1 at which a component counts as solved. The excess
error is of the order of its square over the relative eigenvalue gap, and the angle of its ratio to
the gap: 1e-5 or less down to gaps of a millionth of lambda_1."""

_MOST_STEPS, _STEP_SHARE = 12, 14.0
"""A step takes about 14 (k / n)**2 of the time of the direct solution, and steps may take half of
it: measured, 17 of 66 ms at n = 784 and k = 100, 31 of 1,060 at n = 2,000 and k = 100."""

_GUARDS, _COLUMNS = 6, 8
"""Directions beyond p in a cold start, at least: they carry what would otherwise slow the last
components. A multiple of so many columns costs the BLAS hardly more than one fewer."""

_KRYLOV_SHARE = 0.3
"""A cold start takes at most this share of n directions; else the direct solution is cheaper."""


class ExactState(NamedTuple):
    """An ordered orthonormal decoder, and what the next step needs to know of the last."""

    A: Array  # (n, k) float64, ordered
    eigenvalues: Array  # (k,) Ritz values, largest first
    SA: Array  # (n, k) Sigma @ A, carried along so that a step costs one product
    P: Array | None  # (n, k) the previous step's direction
    SP: Array | None


class ExactInfo(NamedTuple):
    """What a step saw: not the state."""

    residuals: Array  # (k,) ||Sigma a - lambda a|| / lambda_1 before the step


class Solution(NamedTuple):
    """Leading eigenpairs with their certificate."""

    A: Array  # (n, p) float64, orthonormal, ordered; zero columns where nothing is remembered
    eigenvalues: Array  # (p,)
    residuals: Array  # (p,) ||Sigma a - lambda a|| / lambda_1


def solve(moments: Moments, p: int, start: Array | None = None) -> Solution:
    """The p leading eigenpairs of Sigma as remembered.

    Parameters
    ----------
    moments : Moments
        What is remembered.
    p : int
        Number of components.
    start : array of shape (n, k), optional
        Orthonormal columns from an earlier solution, k >= p; guards beyond p speed it up.

    Returns
    -------
    Solution
        Certified: residuals are measured, not assumed, and where warm steps were taken the
        moments have shown that no larger direction was missed.
    """
    for state in _beginnings(moments, p, start):
        solution = _by_steps(state, moments, p)
        if solution is not None:
            return solution
    A, eigenvalues = moments.leading(p)
    A = cast(A, "float64")
    state = ExactState(A, eigenvalues, moments @ A, None, None)
    return Solution(A, eigenvalues, _residuals(state))


def _beginnings(moments: Moments, p: int, start: Array | None) -> Iterator[ExactState]:
    """Where steps begin from, one after the other; none where the direct solution costs no more."""
    if start is not None and not moments.solves_directly(start.shape[1]):
        yield begin(moments, start)
    k, depth = cold_start(moments.n_features, p)
    if depth >= LEAST_DEPTH and not moments.solves_directly(p):
        yield ExactState(*krylov(moments, p, k, depth, TOLERANCE, start), None, None)


def cold_start(n: int, p: int) -> tuple[int, int]:
    """Columns of a block, and the most blocks, of a Krylov space for p of n components."""
    k = _COLUMNS * -(-(p + _GUARDS) // _COLUMNS)
    return k, int(_KRYLOV_SHARE * n) // k


def _by_steps(state: ExactState, moments: Moments, p: int) -> Solution | None:
    """The solution after a few steps; None where it would take many, or would not be the largest.

    Steps that have begun converge at about one rate, so two residuals tell how many are needed.
    """
    worst = float(_residuals(state)[:p].max())
    left = _most_steps(moments.n_features, state.A.shape[1])
    while worst > TOLERANCE:
        before, left = worst, left - 1
        state, _ = exact_step(state, moments)
        worst = float(_residuals(state)[:p].max())
        if worst * (worst / before) ** left > TOLERANCE:
            return None
    A, eigenvalues = state.A[:, :p], state.eigenvalues[:p]
    if moments.misses(A, eigenvalues, TOLERANCE):
        return None
    return Solution(A, eigenvalues, _residuals(state)[:p])


def _most_steps(n: int, k: int) -> int:
    return min(max(int(0.5 / _STEP_SHARE * (n / k) ** 2), 1), _MOST_STEPS)


def begin(moments: Moments, start: Array) -> ExactState:
    """Rayleigh-Ritz on the columns of `start`: the ordered state that steps begin from."""
    A = cast(start, "float64")
    SA = moments @ A
    T = whitener(A.T @ A, rank_cut("float64"))
    eigenvalues, W = eigh_descending(T.T @ (A.T @ SA) @ T)
    return ExactState(A @ (T @ W), eigenvalues, SA @ (T @ W), None, None)


def exact_step(state: ExactState, moments: Moments) -> tuple[ExactState, ExactInfo]:
    """Minimise the nested loss over all decoders inside span{A, Sigma A, P}.

    One product with Sigma, one orthonormalisation, one eigenproblem of at most 3 k.
    """
    A, eigenvalues, SA, P, SP = state
    xp = namespace(A)
    k = A.shape[1]
    info = ExactInfo(_residuals(state))
    R = SA - A * eigenvalues  # (n, k) the part of the gradient outside span(A)
    R, _, _ = orthogonal_part(R - A @ (A.T @ R), A)
    Q = R @ whitener(R.T @ R, rank_cut("float64"))
    SQ = moments @ Q
    V, SV = xp.concatenate([A, Q], axis=1), xp.concatenate([SA, SQ], axis=1)
    if P is not None and SP is not None:
        for _ in range(2):  # twice is enough
            C = V.T @ P
            P, SP = P - V @ C, SP - SV @ C
        T = whitener(P.T @ P, rank_cut("float64"))
        V, SV = xp.concatenate([V, P @ T], axis=1), xp.concatenate([SV, SP @ T], axis=1)
    values, W = eigh_descending(V.T @ SV)
    W = W[:, :k]
    outside = W[k:]
    new_P, new_SP = V[:, k:] @ outside, SV[:, k:] @ outside
    return ExactState(V @ W, values[:k], SV @ W, new_P, new_SP), info


def _residuals(state: ExactState) -> Array:
    """||Sigma a - lambda a|| / lambda_1 for each component; 0 where Sigma is zero."""
    xp = namespace(state.A)
    R = state.SA - state.A * state.eigenvalues
    largest = state.eigenvalues[:1]
    _, lengths = unit_columns(R)
    return lengths / xp.where(largest > 0, largest, xp.ones_like(largest) * np.inf)
