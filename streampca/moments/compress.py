"""Keep the q leading directions of S = U diag(s) U' + Z'Z of a few rows Z, exactly.

Pure functions: directions in, directions out. Many rows go through a sketch (sketch.py).
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
    unit_columns,
    whitener,
    whitener_in_order,
)
from streampca.moments.rows import CentredRows
from streampca.moments.scatter import Scatter

_CUT = {"float32": 1e-8, "float64": 1e-13}
"""Square of the share of a row that is new, beside longer rows, below which it is dropped. Columns
carry a rounding error of eps, eps / 1e-4 of what is left of them then; `towards_orthonormal`
squares that."""


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
    G = gram64(cast(Y, "float64"))
    T, held = whitener_in_order(G, lengths, _CUT[dtype_name(Z)])  # (k, k) Q = Y T is orthonormal
    on_U = cast(H, "float64") + cast(lean, "float64").T * lengths[:, None]  # (k, q)
    on_Q = held * lengths[:, None]  # (k, k)
    F = xp.concatenate([on_U, on_Q], axis=1)  # Z = F [U Q]'
    M = F.T @ F  # (q + k, q + k)
    M[:q, :q] += xp.diag(old.s)
    values, W = eigenpairs(M)
    lost = values[q : q + 1] if Z.shape[0] else values[:1] * 0
    lost = lost + _cut(xp.diagonal(G) - (held**2).sum(1), lengths, values[:1])
    dtype = dtype_name(U)
    U = U @ cast(W[:q, :q], dtype) + Y @ cast(T @ W[q:, :q], dtype)
    # rounding would add up over millions of updates; and what is left of rows that hardly differ
    # may be a little too long or short
    U = towards_orthonormal(U)
    return Compressed(Directions(U, values[:q]), lost)


def _cut(rest: Array, lengths: Array, largest: Array) -> Array:
    """Bound on how much of S rows take along that are cut as rounding, (1,).

    With Z = F + E, || F'E + E'F + E'E || <= || F || || E || + || E ||^2. `rest` (k,) is the share
    of each row's square that lies in E, known to the rounding of float64.
    """
    xp = namespace(rest)
    squares = (lengths**2 * xp.where(rest > 1e-13, rest, xp.zeros_like(rest))).sum()
    return xp.sqrt(largest) * xp.sqrt(squares) + squares


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


def orthonormal(Y: Array) -> Array:
    """Orthonormal columns that span those of Y, but for what is nearly a combination of others."""
    Q, _ = unit_columns(Y)
    dtype = dtype_name(Y)
    return Q @ cast(whitener(gram64(Q), rank_cut(dtype)), dtype)


def towards_orthonormal(U: Array) -> Array:
    """U C, one Newton step towards U (U'U)^(-1/2); zero columns stay zero."""
    G = gram64(U)
    return U @ cast(1.5 * identity_like(G) - 0.5 * G, dtype_name(U))
