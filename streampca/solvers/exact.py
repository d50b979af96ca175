"""The exact step: gradient descent on the nested loss with the best matrix-valued step.

The gradient at an ordered orthonormal A spans, with A, the space V = span{A, Sigma A}. Minimising
L over all decoders inside V is, by the theorem applied to V' Sigma V, a small eigenproblem. The
previous direction P is added to V, as LOBPCG does (Knyazev 2001). No learning rate.

Knows moments only as an operator (`moments @ V`), as something that can be solved directly where
that is cheap, and as a witness that no larger direction was missed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streampca.arrays import (
    Array,
    apart,
    cast,
    column_lengths,
    column_squares,
    eigh_descending,
    namespace,
    orthonormal,
    orthonormal_beside,
    whitener,
)
from streampca.moments import Moments
from streampca.solvers.invariants import ORTHONORMAL
from streampca.solvers.krylov import krylov, room

TOLERANCE = 1e-11
"""Residual ||Sigma a - lambda a|| / lambda_1 at which a component counts as solved. The excess
error is of the order of its square over the relative eigenvalue gap, and the angle of its ratio to
the gap: 1e-5 or less down to gaps of a millionth of lambda_1."""

_LEAST_P = 1e-4
"""Length at which what a previous direction holds beside A and its gradient is dropped: SP, carried
along and not multiplied anew, has lost as many digits of it."""

_MOST_STEPS, _STEP_SHARE = 12, 14.0
"""A step takes about 14 (k / n)**2 of the time of the direct solution, and steps may take half of
it: measured, 17 of 66 ms at n = 784 and k = 100, 31 of 1,060 at n = 2,000 and k = 100."""

_GUARDS, _COLUMNS = 6, 8
"""Directions beyond p in a cold start, at least: they carry what would otherwise slow the last
components. A multiple of so many columns costs the BLAS hardly more than one fewer."""

_KRYLOV_SHARE = 0.5
"""A cold start takes at most this share of n directions; else the direct solution is cheaper.
Measured at n = 784 and p = 100, in ms: MNIST 43, variances 1/i 82, noise alone (given up) 108,
direct 70; at p = 20 in that order 17, 27, 85."""


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
    if start is not None and not moments.solves_directly(start.shape[1]):
        state, solved = _by_steps(begin(moments, start), moments, p)
        if solved:
            return _solution(state, moments, p)
        start = state.A  # better than what it was
    k, most = cold_start(moments.n_features, p)
    if most and not moments.solves_directly(p):
        found = krylov(moments, p, k, most, TOLERANCE, start)
        if found is not None:
            state = ExactState(found.A, found.values, found.SA, None, None)
            state, solved = _by_steps(state, moments, p, found.all_there)
            if solved:
                return _solution(state, moments, p)
    A, eigenvalues = moments.leading(p)
    A = cast(A, "float64")
    return _solution(ExactState(A, eigenvalues, moments @ A, None, None), moments, p)


def _solution(state: ExactState, moments: Moments, p: int) -> Solution:
    """The p first of a state, columns orthonormal or zero whatever came before."""
    if not apart(state.A[:, :p]) <= ORTHONORMAL["float64"]:
        state = begin(moments, orthonormal(state.A))
        # the eigenproblem mixes zero columns with others of no variance: neither is remembered
        rounding = state.A.shape[0] * float(np.finfo("float64").eps)
        there = cast(state.eigenvalues > rounding * state.eigenvalues[:1], "float64")
        state = state._replace(A=state.A * there, SA=state.SA * there)
    return Solution(state.A[:, :p], state.eigenvalues[:p], _residuals(state)[:p])


def cold_start(n: int, p: int) -> tuple[int, int]:
    """Ritz pairs to take from a Krylov space for p of n components, and its most columns.

    No columns where there is room for so few that the direct solution costs less.
    """
    k = _COLUMNS * -(-(p + _GUARDS) // _COLUMNS)
    most = int(_KRYLOV_SHARE * n)
    return k, most if most >= room(p) else 0


def _by_steps(
    state: ExactState, moments: Moments, p: int, all_there: bool = False
) -> tuple[ExactState, bool]:
    """Where a few steps lead, and whether p leading eigenpairs are solved there, none left out.

    Given up as soon as that would take many steps. `all_there` says that none are left out by the
    state that is given.

    Steps that have begun converge at about one rate, so two residuals tell how many are needed.
    """
    worst = float(_residuals(state)[:p].max())
    left = _most_steps(moments.n_features, state.A.shape[1])
    while worst > TOLERANCE:
        before, left, all_there = worst, left - 1, False
        state, _ = exact_step(state, moments)
        worst = float(_residuals(state)[:p].max())
        if worst * (worst / before) ** left > TOLERANCE:
            return state, False
    return state, all_there or not moments.misses(state.A[:, :p], state.eigenvalues[:p], TOLERANCE)


def _most_steps(n: int, k: int) -> int:
    return min(max(int(0.5 / _STEP_SHARE * (n / k) ** 2), 1), _MOST_STEPS)


def begin(moments: Moments, start: Array) -> ExactState:
    """Rayleigh-Ritz on the columns of `start`: the ordered state that steps begin from."""
    A = orthonormal(cast(start, "float64"))
    SA = moments @ A
    eigenvalues, W = eigh_descending(A.T @ SA)
    return ExactState(A @ W, eigenvalues, SA @ W, None, None)


def exact_step(state: ExactState, moments: Moments) -> tuple[ExactState, ExactInfo]:
    """Minimise the nested loss over all decoders inside span{A, Sigma A, P}.

    One product with Sigma, one orthonormalisation, one eigenproblem of at most 3 k.
    """
    A, eigenvalues, SA, P, SP = state
    xp = namespace(A)
    k = A.shape[1]
    info = ExactInfo(_residuals(state))
    R = SA - A * eigenvalues  # (n, k) the part of the gradient outside span(A)
    Q = orthonormal_beside(R - A @ (A.T @ R), A)
    SQ = moments @ Q
    V, SV = xp.concatenate([A, Q], axis=1), xp.concatenate([SA, SQ], axis=1)
    if P is not None and SP is not None:
        P, SP = _beside(V, SV, P, SP)
        V, SV = xp.concatenate([V, P], axis=1), xp.concatenate([SV, SP], axis=1)
    values, W = eigh_descending(V.T @ SV)
    W = W[:, :k]
    outside = W[k:]
    new_P, new_SP = V[:, k:] @ outside, SV[:, k:] @ outside
    return ExactState(V @ W, values[:k], SV @ W, new_P, new_SP), info


def _beside(V: Array, SV: Array, P: Array, SP: Array) -> tuple[Array, Array]:
    """Orthonormal columns of span(P) beside span(V), V orthonormal, and Sigma times them."""
    lengths = column_squares(P) ** 0.5
    for _ in range(2):  # twice is enough
        C = V.T @ P
        P, SP = P - V @ C, SP - SV @ C
    xp, left = namespace(P), column_squares(P) ** 0.5
    there = left > _LEAST_P * lengths
    scale = xp.where(there, 1.0 / xp.where(there, left, 1.0), 0.0)
    P, SP = P * scale, SP * scale
    T = whitener(P.T @ P, _LEAST_P)
    return P @ T, SP @ T


def _residuals(state: ExactState) -> Array:
    """||Sigma a - lambda a|| / lambda_1 for each component; 0 where Sigma is zero."""
    xp = namespace(state.A)
    R = state.SA - state.A * state.eigenvalues
    largest, lengths = state.eigenvalues[:1], column_lengths(R)
    if xp is np and largest > 0:
        return lengths / largest
    return lengths / xp.where(largest > 0, largest, xp.ones_like(largest) * np.inf)
