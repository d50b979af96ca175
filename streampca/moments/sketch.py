"""A one-pass sketch of S = U diag(s) U' + Z'Z: for a thin A, the products Y = S A and M = A'S A.

Pure functions: sketches and rows in, sketches out. Two thin products with the rows, Z A and
Z'(Z A), are all that it costs to add them, which is the least that any method of one pass can do;
minibatches add up, so the small problems are solved once for many of them.
"""

from __future__ import annotations

from typing import NamedTuple

from streampca._arrays import Array, cast, dtype_name, gram64, namespace, rank_cut, whitener
from streampca.moments.compress import Compressed, Directions, eigenpairs, towards_orthonormal
from streampca.moments.rows import CentredRows


class Sketch(NamedTuple):
    """S as seen through A: all of it linear in S, so that sums and forgetting are exact."""

    A: Array  # (n, r) what S is looked at through
    Y: Array  # (n, r) S A, in the dtype of A
    M: Array  # (r, r) A' S A, float64
    trace: Array  # (1,) trace of S, float64


def begin(old: Directions, A: Array) -> Sketch:
    """The sketch of U diag(s) U' alone."""
    U = cast(old.U, dtype_name(A))
    H = cast(U.T @ A, "float64")  # (q, r)
    Y = U @ cast(old.s[:, None] * H, dtype_name(A))
    root = namespace(H).sqrt(old.s)[:, None] * H
    return Sketch(A, Y, root.T @ root, old.s.sum().reshape(1))


def add(sketch: Sketch, rows: CentredRows) -> Sketch:
    """Add Z'Z of the rows; Y is updated in place once all that can fail is done."""
    A, Y, M, trace = sketch
    H = rows.project(A)  # (k, r)
    YZ, MZ = rows.combine(H), gram64(H)
    Y += YZ
    return Sketch(A, Y, M + MZ, trace + rows.squares.sum())


def scaled(sketch: Sketch, factor: float) -> Sketch:
    """The sketch of factor * S."""
    return Sketch(sketch.A, sketch.Y * factor, sketch.M * factor, sketch.trace * factor)


def compress(sketch: Sketch, q: int) -> Compressed:
    """The q leading eigenpairs of Y M^-1 Y', the best that can be said of S.

    With S = F'F and codes H = F A, Y M^-1 Y' = F' P F where P projects on the span of H: of all
    autoencoders of F whose codes are combinations of H, this is where the nested loss is least,
    over decoders and combinations together. (As an approximation of S it is Nystrom's; Gittens
    and Mahoney 2016, Tropp et al. 2017.) With A the directions remembered so far it is half a power
    step more accurate than Rayleigh-Ritz on span(A), at the same two products.

    F'F - F'P F is positive semidefinite, so its spectral norm is at most its trace, which is known
    exactly; the next eigenvalue is what cutting to q loses.

    M is scaled to a unit diagonal first: A nearly holds eigenvectors, whose codes differ in length
    as the standard deviations do, and so keeps the relative accuracy of small ones.
    """
    A, Y, M, trace = sketch
    xp, dtype = namespace(A), dtype_name(A)
    diagonal = xp.diagonal(M)
    seen = diagonal > 0
    scale = xp.where(seen, xp.where(seen, diagonal, 1.0) ** -0.5, 0.0)  # (r,)
    T = whitener(M * scale * scale[:, None], rank_cut(dtype))  # (r, r)
    Y = Y * cast(scale, dtype)  # (n, r) of the size of standard deviations, which can be squared
    values, W = eigenpairs(T.T @ gram64(Y) @ T)
    kept = values[:q]
    root = xp.where(kept > 0, xp.where(kept > 0, kept, 1.0) ** -0.5, 0.0)
    U = Y @ cast(T @ (W[:, :q] * root), dtype)
    outside = xp.clip(trace - values.sum(), 0.0, None)
    return Compressed(Directions(towards_orthonormal(U), kept), values[q : q + 1].sum() + outside)


