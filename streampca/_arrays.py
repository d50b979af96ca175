"""The few array operations that differ between numpy (CPU) and torch (every other device).

Mathematics above this file is written once, in the names that both libraries share. CPU work is
numpy because its BLAS halves `X.T @ X` (SYRK) and its calls cost less than torch's; anything that
lives on another device stays there as a torch tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from streampca._streams import sent
from streampca._threads import one_thread
from streampca.arrays import Array as Array
from streampca.arrays import is_tensor, need_torch, torch

# numpy makes the text anew at each call, at the price of a small product
_NAMES: dict[Any, str] = {np.dtype(name): name for name in ("float32", "float64")}


def namespace(x: Array) -> Any:
    """Return the library, numpy or torch, whose functions work on x."""
    return torch if is_tensor(x) else np


def dtype_name(x: Array) -> str:
    """Return "float32" or "float64"; other types by their own names."""
    return _NAMES.get(x.dtype) or str(x.dtype).removeprefix("torch.")


def _torch_dtype(name: str) -> torch.dtype:
    return torch.float32 if name == "float32" else torch.float64


def cast(x: Array, dtype: str) -> Array:
    """Return x in the given dtype, x itself where it has it already."""
    if is_tensor(x):
        return x.to(_torch_dtype(dtype))
    return x.astype(dtype, copy=False)


def zeros(shape: tuple[int, ...], dtype: str, device: str | None) -> Array:
    """Return zeros: numpy where device is None, else a tensor on that device."""
    if device is None:
        return np.zeros(shape, dtype)
    return torch.zeros(shape, dtype=_torch_dtype(dtype), device=device)


def empty(shape: tuple[int, ...], dtype: str, device: str | None) -> Array:
    """Return uninitialised memory: numpy where device is None, else a tensor on that device."""
    if device is None:
        return np.empty(shape, dtype)
    return torch.empty(shape, dtype=_torch_dtype(dtype), device=device)


def to_device(x: Array, device: str | None) -> Array:
    """Return x as numpy (device None) or as a tensor on the device; no copy where it is there."""
    if device is None:
        return to_numpy(x)
    if not is_tensor(x):
        # torch warns about (and could write through) read-only memory such as Arrow's
        x = torch.from_numpy(writeable(x))
    return sent(x, device)


def to_numpy(x: Array) -> Array:
    """Return x as a numpy array on the host."""
    if is_tensor(x):
        return x.detach().cpu().numpy()
    return np.asarray(x)


def device_name(device: object) -> str | None:
    """Return None for the CPU (numpy does that work), else torch's name of the device.

    Raises
    ------
    ValueError
        If torch does not know such a device, or cannot use it here.
    ImportError
        If torch is not installed.
    """
    if device is None or (isinstance(device, str) and device == "cpu"):
        return None
    need_torch(f"device={device!r}")
    try:
        name = str(torch.device(device))  # type: ignore[call-overload]
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not a torch device: use None, 'cpu', 'cuda', 'cuda:1', ..."
        ) from error
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"device={str(device)!r}: torch {torch.__version__} finds no CUDA here; install a CUDA "
            "build of torch and its driver, or use device=None for the CPU"
        )
    if name.startswith("mps"):
        raise ValueError(
            f"device={str(device)!r}: sums are kept in float64, which MPS does not have; use "
            "device=None for the CPU"
        )
    return None if name == "cpu" else name


_SMALL = 512
"""Columns up to which what a device has to solve goes to the host. torch waits for cuSOLVER in any
case; a core takes 0.3 ms for the eigenpairs of 72 columns and 18 ms for 424; and Cholesky, which
does for most, says there when it is unsafe."""

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


def column_squares(Z: Array) -> Array:
    """Sum of squares of each column, (n,) float64 over float32 sums of a few hundred rows."""
    if namespace(Z) is not np:
        return cast(torch.linalg.vector_norm(Z, dim=0), "float64") ** 2  # one pass, no copy
    squares = np.zeros(Z.shape[1])
    for start in range(0, Z.shape[0], 512):
        part = Z[start : start + 512]
        squares += np.einsum("ij,ij->j", part, part)
    return squares


def writeable(value: Any) -> Any:
    """The value, or a copy where it is an array in memory that cannot be written."""
    locked = isinstance(value, np.ndarray) and not value.flags.writeable
    return value.copy() if locked else value


def frobenius(X: Array) -> float:
    """Root of the sum of the squares of all entries."""
    return float(namespace(X).linalg.norm(X))


def gram64(X: Array) -> Array:
    """X' X: the product in the dtype of X (half the work on CPU), the answer in float64."""
    return cast(X.T @ X, "float64")


@_small_on_host
def whitener(G: Array, cut: float) -> Array:
    """T (k, k) with T' G T = I on the range of the Gram matrix G; zero columns elsewhere.

    Directions whose eigenvalue lies below `cut` times the largest are rounding errors of the
    Gram matrix and become zero columns, so that shapes never depend on data: a device is not
    asked for a rank, and a stream with few rows needs no special case. On the CPU, Cholesky's
    factor does the same for a quarter of the time where no column is nearly a combination of
    those before it.
    """
    xp = namespace(G)
    if xp is np:
        T = _cholesky_whitener(G, 100 * cut)
        if T is not None:
            return T
    values, vectors = eigh_descending(G)
    keep = (values > cut * values[:1]) & (values > 0)
    safe = xp.where(keep, values, xp.ones_like(values))
    return vectors * xp.where(keep, safe**-0.5, xp.zeros_like(values))


def _cholesky_whitener(G: Array, cut: float) -> Array | None:
    """The inverse of Cholesky's factor, transposed; None where a pivot is below the cut."""
    if G.shape[0] == 0:
        return None
    with one_thread():
        try:
            L = np.linalg.cholesky(G)
        except np.linalg.LinAlgError:
            return None
        if np.diagonal(L).min() ** 2 <= cut * np.diagonal(G).max():
            return None
        return np.linalg.inv(L).T


@_small_on_host
def whitener_in_order(G: Array, lengths: Array, cut: float) -> tuple[Array, Array]:
    """T (k, k) with T' G T = I on the range of G, by Gram-Schmidt from the longest to the shortest.

    And G T, what each column holds of each new one: exactly nothing of those that come after it.

    G is the Gram matrix of unit columns that stand for ones of these lengths. What lies within the
    cut of longer ones becomes a zero column: the long ones keep their directions, where the
    eigenvectors of G would give all columns of a cluster one direction between them.
    """
    xp = namespace(G)
    order = xp.argsort(-lengths)
    G = G[order][:, order]
    if xp is np:
        T = _cholesky_whitener(G, 100 * cut)
        T = _gram_schmidt(G, cut) if T is None else T
        held = np.tril(G @ T)
    else:
        T = whitener(G, cut)
        held = G @ T
    back = xp.argsort(order)
    return T[back], held[back]


def _gram_schmidt(G: Array, cut: float) -> Array:
    T = np.zeros_like(G)
    for j in range(G.shape[0]):
        v = -(T[:, :j] @ (T[:, :j].T @ G[:, j]))
        v[j] += 1.0
        left = float(v @ G @ v)
        if left > cut:
            T[:, j] = v / left**0.5
    return T


def rank_cut(dtype: str) -> float:
    """Relative eigenvalue of a Gram matrix below which there is only rounding error.

    A Gram matrix squares the singular values and sums products that each carry a rounding error
    of eps, so its eigenvalues are known to about eps times the largest; ten to a hundred times
    that leaves room for the length of the sums.
    """
    return {"float32": 1e-5, "float64": 1e-13}[dtype]


def unit_columns(R: Array) -> tuple[Array, Array]:
    """Columns of R scaled to length 1 (zero columns stay zero), and their lengths in float64."""
    xp = namespace(R)
    # the largest entry first: squares of float32 entries below 1e-19 or above 1e19 leave its range
    largest = xp.abs(R).max(axis=0) if xp is np else R.abs().amax(dim=0)
    scale = xp.where(largest > 0, largest, xp.ones_like(largest))
    R = R / scale
    lengths = xp.sqrt(column_squares(R))
    R /= cast(xp.where(lengths > 0, lengths, xp.ones_like(lengths)), dtype_name(R))
    return R, cast(largest, "float64") * lengths


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
    Q *= cast(column_squares(Q) > 0.25, dtype_name(Q))
    return Q, lean, lengths


def identity_like(G: Array) -> Array:
    """The identity of the shape, dtype and device of a square matrix."""
    if is_tensor(G):
        return torch.eye(G.shape[0], dtype=G.dtype, device=G.device)
    return np.eye(G.shape[0], dtype=G.dtype)
