"""Two ways to keep the q leading directions of S = U diag(s) U' + Z'Z without forming S.

Pure functions: directions in, directions out. `stack` is exact and made for few rows; `step` is
one exact step of the nested loss (Rayleigh-Ritz on span{A, S A}) and made for many.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streampca._arrays import (
    Array,
    cast,
    dtype_name,
    eigh_descending,
    gram64,
    identity_like,
    namespace,
    orthogonal_part,
    rank_cut,
    whitener,
)
from streampca.moments.rows import CentredRows


class Directions(NamedTuple):
    """The q leading eigenpairs of a scatter matrix, as far as remembered."""

    U: Array  # (n, q) orthonormal columns; zero columns where there is nothing yet
    s: Array  # (q,) eigenvalues, float64, largest first


class Compressed(NamedTuple):
    """What a compression kept, and a bound on what it lost."""

    kept: Directions
    lost: Array  # (1,) bound on || S - U diag(s) U' ||_2


def stack(old: Directions, Z: Array) -> Compressed:
    """Add Z'Z of a few rows exactly, then keep the q leading directions (Brand 2006).

    Costs 8 n q k operations for k rows and an eigenproblem of q + k.
    """
    xp = namespace(Z)
    q = old.s.shape[0]
    U = cast(old.U, dtype_name(Z))
    H = Z @ U  # (k, q)
    Y, lean, lengths = orthogonal_part(Z.T - U @ H.T, U)  # (n, k) what U does not span
    G = gram64(Y)
    T = whitener(G, rank_cut(dtype_name(Z)))  # (k, k) Q = Y T is orthonormal
    on_U = cast(H, "float64") + cast(lean, "float64").T * lengths[:, None]  # (k, q)
    on_Q = (G @ T) * lengths[:, None]  # (k, k)
    F = xp.concatenate([on_U, on_Q], axis=1)  # Z = F [U Q]'
    M = F.T @ F  # (q + k, q + k)
    M[:q, :q] += xp.diag(old.s)
    values, W = _eigenpairs(M)
    lost = values[q : q + 1] if Z.shape[0] else values[:1] * 0
    # few rows may differ by little more than rounding, which leaves their directions up to a
    # percent too long or short (eps over `rank_cut`); the step squares that
    U = towards_orthonormal(_rotated(U, Y, T, W, q))
    return Compressed(Directions(U, values[:q]), lost)


def step(old: Directions, rows: CentredRows, A: Array, probes: Array) -> Compressed:
    """One exact step from A (n, q) on S = F'F with F = [diag(s)^(1/2) U'; Z].

    V spans A, the gradient's part S A outside it for the leading three quarters of A, and
    Z' probes. By the theorem on the nested loss, the minimum of L over all decoders inside V is V
    times the leading eigenvectors of V'S V, and V'S V = (F V)'(F V) needs Z A, Z' (Z A) and
    Z (S A): three thin products with the rows, nothing n x n. The last quarter of A only stands
    guard: letting it step too changed the excess by under a fifth and cost a third of the time.

    The probes (k, g) are random combinations of the rows. Without them a direction that no row
    shares with A, say in features that were silent so far, would never be found, since S A does
    not contain it.

    The bound on what is lost: write P for the projector on V and Y = F (1 - P). S A lies in V for
    columns that step, so S reaches outside V by (1 - P) S G, G the guards and what V has beyond
    A, at most ||F G|| ||Y||, and by Y'Y; what is cut inside V is the next eigenvalue. The row sums
    of G'S G bound ||F G||, the Frobenius norm, which the traces give, bounds ||Y||.
    """
    xp = namespace(A)
    q, dtype = old.s.shape[0], rows.dtype
    stepping = _stepping(q, probes.shape[1])
    U, A = cast(old.U, dtype), cast(A, dtype)
    root = xp.sqrt(old.s)[:, None]
    H_old = root * cast(U.T @ A, "float64")  # (q, q) the rows of F that remember
    H = rows.project(A)  # (k, q)
    M11 = H_old.T @ H_old + gram64(H)
    SA = rows.combine(xp.concatenate([H[:, :stepping], cast(probes, dtype)], axis=1))
    SA[:, :stepping] += U @ cast(root * H_old[:, :stepping], dtype)  # (n, r)
    R, _, lengths = orthogonal_part(SA - A @ (A.T @ SA), A)  # (n, r)
    G = gram64(R)
    T = whitener(G, rank_cut(dtype))  # (r, r) Q = R T is orthonormal
    K_old = root * cast(U.T @ R, "float64")
    K = rows.project(R)  # (k, r)
    M12 = (H_old.T @ K_old + cast(H.T @ K, "float64")) @ T
    M22 = T.T @ (K_old.T @ K_old + gram64(K)) @ T
    top, bottom = xp.concatenate([M11, M12], axis=1), xp.concatenate([M12.T, M22], axis=1)
    M = xp.concatenate([top, bottom], axis=0)  # V'S V
    values, W = _eigenpairs(M)

    total = old.s.sum() + rows.squares.sum()
    outside = xp.clip(total - values.sum(), 0.0, None)  # ||Y||_F^2
    beyond = xp.abs(M[stepping:, stepping:]).sum(axis=0).max()  # >= ||F G||^2 (Gershgorin)
    dropped = xp.clip(G.diagonal().sum() - ((G @ T) ** 2).sum(), 0.0, None)  # cut as rounding
    cross = xp.sqrt(beyond) * xp.sqrt(outside) + xp.sqrt(dropped) * lengths.max()
    lost = values[q : q + 1] + cross + outside
    return Compressed(Directions(_rotated(A, R, T, W, q), values[:q]), lost)


def _stepping(q: int, n_probes: int) -> int:
    """About three quarters of q; with the probes a multiple of 8, as products like it."""
    return max((q - q // 4 + n_probes) // 8 * 8 - n_probes, q // 2)


def _eigenpairs(M: Array) -> tuple[Array, Array]:
    """Eigenpairs of V'S V, largest first; zero where there is nothing but rounding.

    Columns of V may be zero, and to the eigenvalue solver a direction of next to no variance looks
    like these: its eigenvector would be a mixture of both, and not of unit length on V.
    """
    xp = namespace(M)
    values, W = eigh_descending(M)
    keep = values > M.shape[0] * float(np.finfo("float64").eps) * values[:1]
    return xp.where(keep, values, xp.zeros_like(values)), W * cast(keep, "float64")


def towards_orthonormal(U: Array) -> Array:
    """U C, one Newton step towards U (U'U)^(-1/2); zero columns stay zero."""
    return U @ cast(_correction(U), dtype_name(U))


def _correction(U: Array) -> Array:
    G = gram64(U)
    return 1.5 * identity_like(G) - 0.5 * G


def _rotated(U: Array, R: Array, T: Array, W: Array, q: int) -> Array:
    """[U, R T] W for the q leading columns of W, with U made orthonormal on the way.

    By one Newton step: rounding that would add up over millions of updates is taken out each time
    for the price of a Gram matrix.
    """
    dtype = dtype_name(U)
    return U @ cast(_correction(U) @ W[:q, :q], dtype) + R @ cast(T @ W[q:, :q], dtype)
