"""Orthonormal columns and small eigenproblems, in numpy and torch. Knows nothing of rows.

A Gram matrix has the square of the condition of its columns: Cholesky's factor of it makes columns
orthonormal at the price of two products, but only while its pivots are far above rounding. So it
is used where they are, with bounds that are derived below, and Householder's reflections elsewhere,
which make columns orthonormal to rounding whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from streampca.arrays.backend import (
    cast,
    column_squares,
    dtype_name,
    namespace,
    to_device,
    to_numpy,
)
from streampca.arrays.lazy import Array, is_tensor, torch
from streampca.arrays.lengths import unit_columns
from streampca.arrays.threads import one_thread

_SMALL = 512
"""Columns up to which what a device has to solve goes to the host. torch waits for cuSOLVER in any
case; a core takes 0.3 ms for the eigenpairs of 72 columns and 18 ms for 424; and Cholesky, which
does for most, says there when it is unsafe."""

SAFE_PIVOT = {"float32": 1e-4, "float64": 1e-8}
"""Least pivot of the Gram matrix of columns of about length 1 (the square of what a column has of
its own) at which its Cholesky factor is trusted. The factor makes columns orthonormal to within
eps / pivot, 2e-8 for float64; in float32 the Gram matrix is summed in float64, and columns are
rounded to eps / pivot^(1/2), 6e-6. One Newton step squares that."""

_ONE_PASS = 1e-2
"""Least pivot at which columns need no Newton step: they are orthonormal to 100 eps."""

_NEARLY = {"float32": 1e-3, "float64": 1e-5}
"""Largest |U'U - I| from which one Newton step leads to rounding: it leaves 3/4 of its square. (The
step diverges where it exceeds 1.)"""

_P = ParamSpec("_P")
_R = Any


def _small_on_host(solve: Callable[_P, _R]) -> Callable[_P, _R]:
    """The same for tensors, solved by numpy where they are small and on a device."""

    @wraps(solve)
    def placed(*arrays: _P.args, **options: _P.kwargs) -> _R:
        first: Any = arrays[0]
        if not is_tensor(first) or first.device.type == "cpu":
            return solve(*arrays, **options)
        if first.shape[0] > _SMALL:
            return solve(*arrays, **options)
        host: Any = [to_numpy(x) if is_tensor(x) else x for x in arrays]
        found = solve(*host, **options)
        device = str(first.device)
        if found is None:
            return None
        if isinstance(found, tuple):
            return tuple(to_device(np.ascontiguousarray(x), device) for x in found)
        return to_device(np.ascontiguousarray(found), device)

    return placed


@_small_on_host
def eigh_descending(M: Array) -> tuple[Array, Array]:
    """Eigenpairs of a symmetric matrix, largest first, in float64."""
    if is_tensor(M):
        values, vectors = torch.linalg.eigh(cast(M, "float64"))
        return values.flip(0), vectors.flip(1)
    with one_thread():
        values, vectors = np.linalg.eigh(cast(M, "float64"))
    return values[::-1], vectors[:, ::-1]


def gram64(X: Array) -> Array:
    """X' X: the product in the dtype of X (half the work on CPU), the answer in float64."""
    return cast(X.T @ X, "float64")


def identity_like(G: Array) -> Array:
    """The identity of the shape, dtype and device of a square matrix."""
    if is_tensor(G):
        return torch.eye(G.shape[0], dtype=G.dtype, device=G.device)
    return np.eye(G.shape[0], dtype=G.dtype)


@_small_on_host
def safe_factor(G: Array, least: float) -> tuple[Array, Array] | None:
    """Cholesky's factor L of G = L L', and T with T' G T = I; None where G is too near singular.

    G (k, k) is the Gram matrix of columns of about length 1, or zero: those have zero columns in T
    and L. It is too near singular if a pivot is below `least`, or a column of T is longer than the
    root of its inverse: pivots alone do not bound the condition.
    """
    xp = namespace(G)
    if G.shape[0] == 0:
        return G, G
    there = xp.diagonal(G) > 0
    live = cast(there, "float64")
    if xp is np:
        every = bool(there.all())
        with one_thread():
            try:
                L = np.linalg.cholesky(G if every else G + np.diag(1.0 - live))
            except np.linalg.LinAlgError:
                return None
            if L.diagonal().min() ** 2 < least:
                return None
            T = np.linalg.inv(L).T
        if not np.einsum("ij,ij->j", T, T).max() * least <= 1.0:
            return None
        return (L, T) if every else (L * live, T * live)
    L, info = torch.linalg.cholesky_ex(G + torch.diag(1.0 - live))
    T = torch.linalg.solve_triangular(L, identity_like(G), upper=False).T
    safe = (info == 0) & ((T * T).sum(dim=0).max() * least <= 1.0)
    return (L * live, T * live) if bool(safe) else None


@_small_on_host
def whitener(G: Array, cut: float) -> Array:
    """T (k, k) with T' G T = I on the range of the Gram matrix G; zero columns elsewhere.

    G has a diagonal of ones, or zeros. Directions whose eigenvalue lies below `cut` times the
    largest become zero columns, so that shapes never depend on data. Eigenvalues are known to some
    eps, so T' G T - I is of the size of eps / cut at most. Cholesky's factor does the same for a
    quarter of the time where no column is nearly a combination of others.
    """
    xp = namespace(G)
    if xp is np:
        found = safe_factor(G, 100 * cut)
        if found is not None:
            return found[1]
    values, vectors = eigh_descending(G)
    keep = (values > cut * values[:1]) & (values > 0)
    safe = xp.where(keep, values, xp.ones_like(values))
    return vectors * xp.where(keep, safe**-0.5, xp.zeros_like(values))


# --- columns ------------------------------------------------------------------------------------


def orthogonal_part(R: Array, A: Array) -> tuple[Array, Array, Array]:
    """Columns of R at length 1 without their part in span(A), A orthonormal.

    R is what a first projection left. It may be a small difference of large numbers and so lean
    on A by its rounding errors; a second projection removes that ("twice is enough": Kahan and
    Parlett). A column that loses more than half of its length there was nothing but rounding
    and becomes zero.

    Returns
    -------
    Q : (n, k) the columns; lean : (p, k) what the second projection removed; lengths : (k,) of R.
    """
    R, lengths = unit_columns(R)
    lean = A.T @ R  # (p, k)
    Q = R - A @ lean
    kept = column_squares(Q) > 0.25
    if is_tensor(Q) or not kept.all():
        Q *= cast(kept, dtype_name(Q))
    return Q, lean, lengths


def householder(V: Array) -> tuple[Array, Array]:
    """Q (n, r) orthonormal and R (r, k) with V = Q R, by reflections, in float64; r = min(n, k)."""
    V = cast(V, "float64")
    if is_tensor(V):
        found = torch.linalg.qr(V)
        return found[0], found[1]
    with one_thread():
        Q, R = np.linalg.qr(V)
    return Q, R


@_small_on_host
def singular(R: Array) -> tuple[Array, Array]:
    """Left singular vectors of R (r, k) and singular values, largest first, in float64."""
    R = cast(R, "float64")
    if is_tensor(R):
        U, lengths, _ = torch.linalg.svd(R, full_matrices=False)
        return U, lengths
    with one_thread():
        U, lengths, _ = np.linalg.svd(R, full_matrices=False)
    return U, lengths


def orthonormal(Y: Array) -> Array:
    """Orthonormal columns that span those of Y (n, k), in its dtype.

    A column that is a combination of those before it, to rounding, becomes zero; so do columns
    beyond the n-th.
    """
    return made_orthonormal(unit_columns(Y)[0])[0]


def orthonormal_beside(R: Array, A: Array) -> Array:
    """Orthonormal columns that span what is left of R (n, k) beside span(A), A orthonormal.

    R is what a first projection left. Where its columns are nearly combinations of each other,
    what tells them apart is small and leans on A by rounding: so it is projected once more after
    it was made orthonormal.
    """
    Q, once = made_orthonormal(orthogonal_part(R, A)[0])
    return Q if once else orthonormal(orthogonal_part(Q, A)[0])


def made_orthonormal(Q: Array, G: Array | None = None) -> tuple[Array, bool]:
    """Unit columns Q made orthonormal, and whether none of them was near a combination of others.

    The latter is always False on a device, which would have to be asked. G is Q'Q in float64, where
    that is there already.
    """
    dtype = dtype_name(Q)
    found = safe_factor(gram64(cast(Q, "float64")) if G is None else G, SAFE_PIVOT[dtype])
    if found is None:
        return cast(_reflected(Q), dtype), False
    L, T = found
    Q = Q @ cast(T, dtype)
    if namespace(L) is np:
        pivots = L.diagonal() ** 2
        if bool(((pivots >= _ONE_PASS) | (pivots == 0)).all()):
            return Q, True
    return newton_step(Q, gram64(Q)), False


def _reflected(Y: Array) -> Array:
    """As `orthonormal`, of unit columns, by reflections."""
    xp, (n, k) = namespace(Y), Y.shape
    Q, R = householder(Y)
    # what is left of a column is known to the rounding of its n entries
    rounding = 4 * float(np.finfo(dtype_name(Y)).eps)
    own = xp.abs(xp.diagonal(R))  # (min(n, k),)
    Q = Q * cast(own > rounding, "float64")
    return Q if k <= n else xp.concatenate([Q, xp.zeros_like(Y[:, n:])], axis=1)


def newton_step(U: Array, G: Array) -> Array:
    """U C, one Newton step towards U (U'U)^(-1/2) with U'U = G near I; zero columns stay zero."""
    return U @ cast(1.5 * identity_like(G) - 0.5 * G, dtype_name(U))


def apart(U: Array) -> Array:
    """The largest entry of |U'U - I|, columns that are zero (shorter than 0.7) apart."""
    return _apart(gram64(U))


def _apart(G: Array) -> Array:
    xp = namespace(G)
    if xp is np and G.size and bool((G.diagonal() > 0.5).all()):
        away = np.abs(G)
        away.flat[:: len(G) + 1] = np.abs(G.diagonal() - 1.0)
        return away.max()
    there = cast(xp.diagonal(G) > 0.5, "float64")
    return xp.abs(G - xp.diag(there)).max()


def _squares64(U: Array) -> Array:
    """Sum of squares of each column, added up in float64."""
    if is_tensor(U):
        return (U.double() ** 2).sum(dim=0)
    return np.einsum("ij,ij->j", U, U, dtype="float64")


def towards_orthonormal(U: Array) -> Array | None:
    """Columns of U orthonormal to rounding, zero ones as they are; None where U is far from it.

    Far is where one Newton step does not lead there. Columns of U are of about length 1, or zero.
    """
    G = gram64(U)
    if dtype_name(U) == "float32":
        # of squares all roundings may have one sign: lengths were 1e-6 off where entries are alike
        G = G + namespace(G).diag(_squares64(U) - namespace(G).diagonal(G))
    if G.shape[0] == 0 or bool(_apart(G) <= _NEARLY[dtype_name(U)]):
        return newton_step(U, G)
    return None
