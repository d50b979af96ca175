"""A one-pass sketch of Z'Z: for a thin A, the products Y = Z'Z A and M = A'Z'Z A.

Pure functions: sketches and rows in, sketches out. Two thin products with the rows, Z A and
Z'(Z A), are all that it costs to add them, which is the least that any method of one pass can do;
minibatches add up, so the small problems are solved once for many of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streampca.arrays import Array, cast, column_squares, dtype_name, gram64, namespace, whitener
from streampca.moments.centre import CentredRows
from streampca.moments.compress import Compressed, Directions, stack


class Sketch(NamedTuple):
    """Z'Z as seen through A: all of it linear in Z'Z, so that sums and forgetting are exact."""

    A: Array  # (n, r) directions that rows are multiplied by
    Y: Array  # (n, r) Z'Z A, in the dtype of A
    M: Array  # (r, r) A'Z'Z A, float64
    trace: Array  # (1,) trace of Z'Z, float64


def begin(A: Array) -> Sketch:
    """The sketch of no rows."""
    M = cast(A[:1].T @ A[:1], "float64") * 0.0
    return Sketch(A, A * 0.0, M, M[:1, 0])


def add(sketch: Sketch, rows: CentredRows) -> Sketch:
    """Add Z'Z of the rows; Y is updated in place once all that can fail is done."""
    A, Y, M, trace = sketch
    H = rows.project(A)  # (k, r) codes
    YZ, MZ = rows.combine(H), gram64(H)
    Y += YZ
    return Sketch(A, Y, M + MZ, trace + rows.squares.sum())


def scaled(sketch: Sketch, factor: float) -> Sketch:
    """The sketch of factor * Z'Z."""
    return Sketch(sketch.A, sketch.Y * factor, sketch.M * factor, sketch.trace * factor)


_CUT = {"float32": 1e-4, "float64": 1e-8}
"""Relative eigenvalue below which combinations of codes are left out. Codes of length 1 have inner
products known to some eps, so what is kept of a combination is known to eps / cut at worst."""


def compress(old: Directions, sketch: Sketch) -> Compressed:
    """The leading directions of U diag(s) U' + Y M^-1 Y', the best that can be said of both.

    With codes H = Z A, Y M^-1 Y' = Z'P Z where P projects on the span of H: of all autoencoders of
    the rows whose codes are combinations of H, this is where the nested loss is least, over
    decoders and combinations together. (As an approximation of Z'Z it is Nystrom's; Gittens and
    Mahoney 2016, Tropp et al. 2017.) With A the directions remembered so far it is half a power
    step more accurate than keeping what lies in their span, at the same two products. Y T with
    T'M T = I holds it as r rows, and a few rows are added exactly.

    Z'Z - Z'P Z is positive semidefinite, so its spectral norm is at most its trace, which is known
    exactly.

    M is scaled to a unit diagonal first: A nearly holds eigenvectors, whose codes differ in length
    as the standard deviations do, and so keeps the relative accuracy of small ones. (The shift that
    Tropp et al. add to M would lose all that are below rounding of the largest.) Combinations of
    codes that are then next to nothing are left out, which is an autoencoder of fewer codes.
    """
    A, Y, M, trace = sketch
    xp, dtype = namespace(A), dtype_name(A)
    diagonal = xp.diagonal(M)
    seen = diagonal > 0
    scale = xp.where(seen, xp.where(seen, diagonal, 1.0) ** -0.5, 0.0)  # (r,)
    T = whitener(M * scale * scale[:, None], _CUT[dtype])  # (r, r)
    # scaled before it is rotated: Y is of the size of variances, and may not be squared
    F = (Y * cast(scale, dtype)) @ cast(T, dtype)  # (n, r)
    squares = column_squares(F)
    outside = xp.clip(trace - squares.sum(), 0.0, None)
    # T'M T = I + T'E T with E of the size of eps, so F F' is known to || E || times || T F' ||^2
    rounding = 4 * float(np.finfo(dtype).eps) * ((T * T).sum(axis=0) * squares).sum()
    result = stack(old, F.T)
    return Compressed(result.kept, result.lost + outside + rounding)
