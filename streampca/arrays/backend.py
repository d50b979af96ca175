"""The few array operations that differ between numpy (CPU) and torch (every other device).

Mathematics above this file is written once, in the names that both libraries share. CPU work is
numpy because its BLAS halves `X.T @ X` (SYRK) and its calls cost less than torch's; anything that
lives on another device stays there as a torch tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streampca.arrays.lazy import Array as Array
from streampca.arrays.lazy import is_tensor, need_torch, torch
from streampca.arrays.streams import sent

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
    if type(x) is np.ndarray:
        return x
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


def column_squares(Z: Array) -> Array:
    """Sum of squares of each column, (n,) float64 over float32 sums of a few hundred rows."""
    if namespace(Z) is not np:
        return cast(torch.linalg.vector_norm(Z, dim=0), "float64") ** 2  # one pass, no copy
    squares = np.zeros(Z.shape[1])
    for start in range(0, Z.shape[0], 512):
        part = Z[start : start + 512]
        squares += np.einsum("ij,ij->j", part, part)
    return squares


_ALONE = 2**13
"""Numbers that OpenBLAS squares and sums on the calling thread: it takes others from 10,000 on."""


def sum_of_squares(values: Any) -> float:
    """Of all entries of an array that lies in one piece, on this thread.

    Memory is as fast for one thread as for many. Those of the BLAS would wait for each other, and
    spin, where others read or compute beside them: twenty times as long was measured beside the
    reader of a Parquet file.
    """
    flat = values.ravel(order="K")
    count = max(1, -(-flat.size // _ALONE))
    count += -count % 8 if flat.size % 8 == 0 else 0  # more often without a rest
    even = flat.size - flat.size % count
    with np.errstate(over="ignore", invalid="ignore"):
        parts = flat[:even].reshape(count, -1)
        total = sum(np.vecdot(parts, parts).tolist())
    return float(total + np.vdot(flat[even:], flat[even:])) if even < flat.size else float(total)


def writeable(value: Any) -> Any:
    """The value, or a copy where it is an array in memory that cannot be written."""
    locked = isinstance(value, np.ndarray) and not value.flags.writeable
    return value.copy() if locked else value


_TOGETHER = 64
"""Columns of an array that lies by columns that are copied at once: entries of a row are as far
apart as a column is long, and where that is a power of two they push each other out of the cache.
1,024 rows of 784 features took 4.9 microseconds each, and take 0.6."""


def column_parts(X: Array) -> list[slice]:
    """Columns of X (m, n) to pass over at once, where what is written lies by rows."""
    n = int(X.shape[1])
    if is_tensor(X) or X.shape[0] < 2 or X.strides[0] >= X.strides[1]:
        return [slice(0, n)]
    return [slice(start, start + _TOGETHER) for start in range(0, n, _TOGETHER)]


def frobenius(X: Array) -> float:
    """Root of the sum of the squares of all entries."""
    return float(namespace(X).linalg.norm(X))
