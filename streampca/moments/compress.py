"""Keep the q leading directions of S = U diag(s) U' + Z'Z of a few rows Z, exactly.

Pure functions: directions in, directions out. Many rows go through a sketch (sketch.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streampca.arrays import (
    Array,
    cast,
    column_squares,
    dtype_name,
    eigh_descending,
    gram64,
    householder,
    namespace,
    orthogonal_part,
    safe_factor,
    towards_orthonormal,
    unit_columns,
)
from streampca.moments.centre import CentredRows
from streampca.moments.scatter import Scatter


class Directions(NamedTuple):
    """The q leading eigenpairs of a scatter matrix, as far as remembered."""

    U: Array  # (n, q) orthonormal columns; zero columns where there is nothing yet
    s: Array  # (q,) eigenvalues, float64, largest first


class Compressed(NamedTuple):
    """What a compression kept, and a bound on what it lost."""

    kept: Directions
    lost: Array  # (1,) bound on || S - U diag(s) U' ||_2


_SAFE = 1e-4
"""Least pivot of the Gram matrix of what rows hold beside U, at length 1, at which products tell
the rows apart. What is made of columns through its factor T is rounded to eps |T|, at most
eps / pivot^(1/2), and so is what is known of Sigma beside its first eigenvalue: 2e-14 in float64,
where the solver leaves as much. (Orthonormal columns alone may be had of far lower pivots, for a
Newton step mends them; but it does not know which rows they were made of.)"""


def stack(old: Directions, Z: Array) -> Compressed:
    """Add Z'Z of a few rows exactly, then keep the q leading directions (Brand 2006).

    Costs 8 n q k operations for k rows and an eigenproblem of q + k.
    """
    result = _by_products(old, Z)
    return _by_reflections(old, Z) if result is None else result


def _by_products(old: Directions, Z: Array) -> Compressed | None:
    """`stack` where Z's rows are far from combinations of each other and of U, else None.

    What rows hold beside U is made orthonormal through its Gram matrix: two products. Rows that
    hold nothing but rounding there have zero columns in it.
    """
    xp = namespace(Z)
    q = old.s.shape[0]
    U = cast(old.U, dtype_name(Z))
    H = Z @ U  # (k, q)
    Y, lean, lengths = orthogonal_part(Z.T - U @ H.T, U)  # (n, k) what U does not span
    on_U = cast(H, "float64") + cast(lean, "float64").T * lengths[:, None]  # (k, q)
    found = safe_factor(gram64(cast(Y, "float64")), _SAFE)
    if found is None:
        fewer = _without_their_sum(Y, lengths, on_U) if xp is np else None
        if fewer is None:
            return None
        Y, lengths, on_U = fewer
        found = safe_factor(gram64(cast(Y, "float64")), _SAFE)
        if found is None:
            return None
    L, T = found  # Q = Y T is orthonormal, and Y = Q L'
    F = xp.concatenate([on_U, L * lengths[:, None]], axis=1)  # (k, q + k) Z = F [U Q]'
    M = F.T @ F  # (q + k, q + k)
    M[:q, :q] += xp.diag(old.s)
    values, W, lost = _leading(M, q)
    dtype = dtype_name(U)
    U = U @ cast(W[:q], dtype) + Y @ cast(T @ W[q:], dtype)
    # rounding would add up over millions of updates
    sound = towards_orthonormal(U)
    return None if sound is None else Compressed(Directions(sound, values), lost)


def _without_their_sum(Y: Array, lengths: Array, on_U: Array) -> tuple[Array, Array, Array] | None:
    """One row less, with the same Z'Z, where a combination of the rows is zero; else None.

    Rows about their own mean are such: they add up to zero, each times the root of its weight. With
    that combination v at length 1, and P orthogonal with v for its first column, (P'Z)'(P'Z) is
    Z'Z, and the first of the rows P'Z, which is v'Z, is left out: Z'Z changes by its square, which
    makes nothing of rounding. Z = on_U U' + diag(lengths) Y'.
    """
    dtype = dtype_name(Y)
    G = gram64(cast(Y, "float64"))
    if len(lengths) < 2 or not (lengths > 0).all() or not (np.diagonal(G) > 0).all():
        return None
    scaled = lengths / lengths.max()
    v = eigh_descending(G)[1][:, -1] / scaled  # of rows, where the eigenvector is of unit rows
    v /= np.abs(v).max()  # its square may not be a float
    v /= np.linalg.norm(v)
    w = v.copy()
    w[0] += np.copysign(1.0, v[0])
    P = np.eye(len(v)) - np.outer(w, w) * (2.0 / (w @ w))
    B = scaled[:, None] * P
    R = Y @ cast(B, dtype)  # (n, k)
    inside = P @ (on_U / lengths.max())
    squares = column_squares(R) + (inside * inside).sum(axis=1)
    least = max(float(np.finfo("float64").eps), (4 * float(np.finfo(dtype).eps)) ** 2)
    if not squares[0] <= least * squares.sum():
        return None
    Y, shares = unit_columns(R[:, 1:])
    # Y' U is rounding, of the size of what was added up
    if not (shares >= _SAFE**0.5 * np.abs(B[:, 1:]).sum(axis=0)).all():
        return None
    return Y, shares * lengths.max(), inside[1:] * lengths.max()


def _by_reflections(old: Directions, Z: Array) -> Compressed:
    """`stack` whatever Z and U hold: [U s^(1/2), Z'] = Q R, of which R R' is solved."""
    xp = namespace(Z)
    q = old.s.shape[0]
    V = xp.concatenate([cast(old.U, "float64") * old.s**0.5, cast(Z, "float64").T], axis=1)
    Q, R = householder(V)  # (n, r) and (r, q + k)
    values, W, lost = _leading(R @ R.T, q)
    return Compressed(Directions(cast(Q @ W, dtype_name(Z)), values), lost)


def _leading(M: Array, q: int) -> tuple[Array, Array, Array]:
    """The q leading eigenpairs of M = V'S V (r, r), r >= q, and a bound on the others, (1,)."""
    xp = namespace(M)
    values, W = eigenpairs(M)
    # those that became zero for their rounding may have held as much
    rounding = M.shape[0] * float(np.finfo("float64").eps) * values[:1]
    lost = xp.where(values[q - 1 : q] > 0, rounding * 0.0, rounding)
    if M.shape[0] > q:
        lost = xp.maximum(values[q : q + 1], lost)
    return values[:q], W[:, :q], lost


def mended(old: Directions) -> Directions:
    """Orthonormal directions of the same scatter matrix, whatever the columns of U are."""
    return _by_reflections(old, old.U.T[:0]).kept


def whole(old: Directions, rows: CentredRows) -> Compressed:
    """Add Z'Z, formed, where all n directions are kept: n x n is no more than is remembered."""
    U = cast(old.U, "float64")
    S = Scatter((U * old.s) @ U.T)
    rows.add_scatter(S)
    values, W = eigenpairs(S.whole)
    return Compressed(Directions(W, values), values[:1] * 0)


def eigenpairs(M: Array) -> tuple[Array, Array]:
    """Eigenpairs of V'S V, largest first; zero where there is nothing but rounding.

    Columns of V may be zero, and to the eigenvalue solver a direction of next to no variance looks
    like these: its eigenvector would be a mixture of both, and not of unit length on V.
    """
    xp = namespace(M)
    values, W = eigh_descending(M)
    keep = values > M.shape[0] * float(np.finfo("float64").eps) * values[:1]
    return xp.where(keep, values, xp.zeros_like(values)), W * cast(keep, "float64")
